/* digest.c - a digest of what came out (include/leat/measure.h): SHA-256 by OpenSSL's libcrypto, which libcurl brings along. */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include <leat/measure.h>

struct leat_digest {
    EVP_MD_CTX *context;
};

leat_digest *leat_digest_new(void)
{
    leat_digest *digest = calloc(1, sizeof *digest);
    if (digest) digest->context = EVP_MD_CTX_new();
    if (digest && digest->context && EVP_DigestInit_ex(digest->context, EVP_sha256(), NULL) == 1) return digest;
    leat_digest_free(digest);
    return NULL;
}

/* Numbers go in as 64-bit little endian, whatever the machine. */
static void add_number(EVP_MD_CTX *context, uint64_t number)
{
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(number >> 8 * i);
    EVP_DigestUpdate(context, bytes, sizeof bytes);
}

static void add_text(EVP_MD_CTX *context, const char *text)
{
    EVP_DigestUpdate(context, text, strlen(text) + 1);
}

static void add_tensor(EVP_MD_CTX *context, const leat_tensor *tensor, size_t rows)
{
    add_text(context, tensor->name);
    add_number(context, (uint64_t)tensor->dtype);
    add_number(context, (uint64_t)tensor->ndim);
    for (int i = 0; i < tensor->ndim; i++) add_number(context, (uint64_t)tensor->shape[i]);
    for (size_t i = 0; tensor->offsets && i <= rows; i++) add_number(context, (uint64_t)tensor->offsets[i]);
    if (tensor->bytes) EVP_DigestUpdate(context, tensor->data, tensor->bytes);
}

void leat_digest_add(leat_digest *digest, const leat_batch *batch)
{
    size_t rows = leat_batch_rows(batch);
    add_number(digest->context, rows);
    const leat_tensor *tensor;
    for (size_t i = 0; (tensor = leat_batch_tensor_at(batch, i)); i++) add_tensor(digest->context, tensor, rows);
    for (size_t row = 0; row < rows; row++) add_text(digest->context, leat_batch_key(batch, row));
}

void leat_digest_hex(const leat_digest *digest, char hex[65])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char bytes[32] = {0};
    EVP_MD_CTX *copy = EVP_MD_CTX_new();
    if (copy && EVP_MD_CTX_copy_ex(copy, digest->context) == 1) EVP_DigestFinal_ex(copy, bytes, NULL);
    EVP_MD_CTX_free(copy);
    for (size_t i = 0; i < sizeof bytes; i++) {
        hex[2 * i] = digits[bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 15];
    }
    hex[64] = 0;
}

void leat_digest_free(leat_digest *digest)
{
    if (!digest) return;
    EVP_MD_CTX_free(digest->context);
    free(digest);
}
