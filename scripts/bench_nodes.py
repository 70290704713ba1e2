"""What registered nodes cost: so many agents over real HTTP, each with a connection of its own.

Prints the processor time and the memory of the service, and how long it takes until it says that a node is silent.
"""

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time


def put(node, said, host):
    body = json.dumps(said)
    return (
        f"PUT /api/nodes/edge-{node} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


async def answer(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    body = await reader.readexactly(length)
    status = int(head.split(b" ", 2)[1])
    if status != 200:
        raise SystemExit(f"{status}: {body.decode()}")


class Agent:
    def __init__(self, number, every):
        self.number = number
        self.every = every
        self.last = 0.0
        self.stop = asyncio.Event()

    def whole(self):
        high, low = divmod(self.number, 250)
        return {
            "epoch": 1,
            "endpoint": f"tcp://127.8.{high}.{low + 1}:1",
            "ip": f"127.8.{high}.{low + 1}",
            "refresh_s": self.every,
            "labels": {"zone": "abc"[self.number % 3]},
            "capabilities": {"arch": "arm64", "cores": 4, "memory_mb": 7800, "cpu_model": "a model", "gpus": 0, "tpm": True},
            "health": self.health(),
        }

    def health(self):
        names = ["load_1m", "load_5m", "load_15m", "cpu_used", "memory_used", "disk_used", "temperature_c", "power_w"]
        return {name: round(random.random(), 3) for name in names} | {"engine": "answers"}

    async def run(self, host, port, begin):
        at = f"{host}:{port}"
        reader, writer = await asyncio.open_connection(host, port)
        due = begin + random.random() * self.every
        said = self.whole()
        while not self.stop.is_set():
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if self.stop.is_set():
                break
            writer.write(put(self.number, said, at))
            await answer(reader)
            self.last = time.monotonic()
            said = {"epoch": 1, "health": self.health()}
            due += self.every
        writer.close()


async def events(host, port, told):
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(f"GET /api/events HTTP/1.1\r\nHost: {host}:{port}\r\nAccept: text/event-stream\r\n\r\n".encode())
    while line := await reader.readline():
        if line.startswith(b"data: ") and b"nodes_turned" in line:
            for one in json.loads(line[6:])["nodes"]:
                told.put_nowait((time.monotonic(), one["node"], one["standing"]))


def spent(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))


async def measure(options, host, port, pid):
    reader, writer = await asyncio.open_connection(host, port)
    topology = json.dumps({"infrastructure": {"cloud_driver": {"nodes": {}}, "cpu_cores": 2, "mem_units": 4}, "apps": []})
    writer.write(f"PUT /api/topology HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: {len(topology)}\r\n\r\n{topology}".encode())
    await answer(reader)
    writer.close()
    told = asyncio.Queue()
    listener = asyncio.create_task(events(host, port, told))
    agents = [Agent(number, options.every) for number in range(options.nodes)]
    tasks = [asyncio.create_task(agent.run(host, port, time.monotonic())) for agent in agents]
    # The first time each is written down.
    await asyncio.sleep(4 * options.every)
    before, begun = spent(pid), time.monotonic()
    await asyncio.sleep(options.seconds)
    took = time.monotonic() - begun
    cpu = 100 * (spent(pid) - before) / took
    print(f"{options.nodes} nodes, a refresh every {options.every} s ({options.nodes / options.every:.0f} requests a second):")
    print(f"  processor  {cpu:.2f} % of a core, over {took:.0f} s")
    print(f"  memory     {memory(pid):.0f} MB")
    while not told.empty():
        print("  turned meanwhile:", told.get_nowait()[1:])
    late = []
    for agent in random.sample([agent for agent in agents if agent.last], options.stopped):
        agent.stop.set()
        await asyncio.sleep(0.2)
        last = agent.last
        while True:
            at, node, standing = await asyncio.wait_for(told.get(), 60)
            if node == f"edge-{agent.number}" and standing == "silent":
                break
        late.append(at - last)
    print(f"  noticed    {min(late):.2f} to {max(late):.2f} s after the last refresh, of {len(late)} nodes that stopped")
    for task in [*tasks, listener]:
        task.cancel()
    return cpu < 5 and memory(pid) < 100 and max(late) < options.every + 1


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--every", type=int, default=2)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--stopped", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as data:
        command = [options.program, "serve", "--listen", "127.0.0.1:0", "--data-dir", data, "--max-connections", "4096"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as service:
            try:
                line = next(line for line in service.stderr if "listening on " in line)
                threading.Thread(target=service.stderr.read, daemon=True).start()
                address = line.split("listening on http://", 1)[1].split()[0].strip('"')
                host, port = address.rsplit(":", 1)
                held = asyncio.run(measure(options, host, int(port), service.pid))
            finally:
                service.terminate()
    sys.exit(0 if held else 1)


main()
