#!/usr/bin/python3
"""aiohttp_gather.py - what a page of Python does: every URL of a list fetched into memory by aiohttp and asyncio.gather.

    python3 aiohttp_gather.py LIST CONNECTIONS

Prints one JSON object: files, bytes, seconds (from the first request on, imports apart), per_second."""
import asyncio
import json
import sys
import time

import aiohttp


async def fetch(session, url):
    async with session.get(url) as answer:
        answer.raise_for_status()
        return len(await answer.read())


async def fetch_all(urls, connections):
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=connections)) as session:
        return await asyncio.gather(*(fetch(session, url) for url in urls))


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        urls = file.read().split()
    begin = time.perf_counter()
    sizes = asyncio.run(fetch_all(urls, int(sys.argv[2])))
    seconds = time.perf_counter() - begin
    print(json.dumps({"files": len(sizes), "bytes": sum(sizes), "seconds": seconds, "per_second": len(sizes) / seconds}))


if __name__ == "__main__":
    main()
