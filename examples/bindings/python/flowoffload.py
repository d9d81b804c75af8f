"""Python binding of libflowoffload over ctypes: no dependency beyond the shared library.

A small face of the C API (abi.py): addresses are strings, errors are exceptions, packets are bytearrays. The shared
library comes from a build with -Ddefault_library=both. The rules are those of C: one control thread a table, a
worker for each packet loop; a Table closes its workers before it goes.

    with Table(ports=[1, 2], workers=1) as table:
        lan = table.add_adj(1, own_mac="02:00:00:00:00:01", peer_mac="02:00:00:00:00:02")
        ...
"""
import collections
import ctypes
import ipaddress
import os
import socket
import time
from ctypes import byref

import abi
from abi import new

TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58

Counters = collections.namedtuple("Counters", "packets bytes last_seen_ms final")
Event = collections.namedtuple("Event", "kind reason flow user tag counters")
Verdict = collections.namedtuple("Verdict", "forwarded reason out_port frame flow")
Explanation = collections.namedtuple("Explanation", "flow state reason text counters")


class FlowOffloadError(OSError):
    """A refused call: errno, and the library's reason, stage, field and text."""

    def __init__(self, code, reason, err):
        self.reason = reason
        self.stage = err.stage
        self.field = err.field.decode()
        self.text = err.text.decode()
        super().__init__(-code, f"{self.field}: {self.text}" if self.field else self.text or os.strerror(-code))


def mac(text):
    """Six bytes of "02:00:00:00:00:01"."""
    octets = bytes.fromhex(text.replace(":", ""))
    if len(octets) != 6:
        raise ValueError(f"{text!r} is no MAC address")
    return (ctypes.c_uint8 * 6)(*octets)


def make_tuple(src, sport, dst, dport, proto=UDP):
    """One direction as its packets arrive. For echo, sport is the identifier and dport type << 8 | code."""
    addresses = [ipaddress.ip_address(src), ipaddress.ip_address(dst)]
    if addresses[0].version != addresses[1].version:
        raise ValueError(f"{src} and {dst} are of different families")
    result = abi.Tuple(sport_be=socket.htons(sport), dport_be=socket.htons(dport), proto=proto,
                       family=addresses[0].version)
    for field, address in zip((result.src, result.dst), addresses):
        field[:len(address.packed)] = address.packed
    return result


def counters_of(raw):
    """Counters as a named tuple; what the backend does not know is None, never zero."""
    def known(bit, values):
        return tuple(values) if raw.flags & bit else None
    return Counters(known(abi.FO_STATS_PACKETS, raw.packets), known(abi.FO_STATS_BYTES, raw.bytes),
                    known(abi.FO_STATS_LAST_SEEN, raw.last_seen_ms), bool(raw.flags & abi.FO_STATS_FINAL))


def now_ms():
    """The clock of tables: CLOCK_MONOTONIC in milliseconds."""
    return time.monotonic_ns() // 1000000


class Worker:
    """One packet loop's access to a table."""

    def __init__(self, table, flow_ids=False):
        options = new(abi.WorkerOptions)
        options.flags = abi.FO_WORKER_FLOW_IDS if flow_ids else 0
        self.table, self.handle = table, abi.WORKER()
        table.call("fo_worker_open", table.handle, byref(options), byref(self.handle))
        table.workers.append(self)

    def run(self, frames, in_port, scope=0, headroom=64, when_ms=None):
        """A Verdict for each frame (bytes) that came in by in_port. Of a forwarded one, frame is what to send."""
        packets = (abi.Packet * len(frames))()
        buffers = []
        for packet, frame in zip(packets, frames):
            buffer = (ctypes.c_uint8 * (headroom + len(frame))).from_buffer_copy(bytes(headroom) + bytes(frame))
            buffers.append(buffer)
            packet.data = ctypes.cast(ctypes.byref(buffer, headroom), ctypes.POINTER(ctypes.c_uint8))
            packet.contiguous = packet.length = len(frame)
            packet.headroom, packet.in_port, packet.scope = headroom, in_port, scope
        if self.handle is None:
            raise ValueError("the worker is closed")
        self.table.library.fo_worker_run(self.handle, packets, len(frames), now_ms() if when_ms is None else when_ms)
        return [self.verdict(packet) for packet in packets]

    def verdict(self, packet):
        forwarded = packet.verdict == abi.FO_FORWARD
        return Verdict(forwarded, self.table.reason(packet.reason), packet.out_port if forwarded else None,
                       bytes(packet.data[:packet.length]), packet.flow or None)

    def close(self):
        if self.handle is not None:
            self.table.library.fo_worker_close(self.handle)
            self.handle = None
            self.table.workers.remove(self)


class Table:
    """Flows of one router instance. ports: numbers or interface indexes."""

    def __init__(self, ports, backend=None, capacity=65536, workers=0, needs=0, clock=None, library=None):
        self.library = library or abi.load()
        self.handle, self.workers = abi.TABLE(), []
        array = (abi.Port * len(ports))(*[abi.Port(ctypes.sizeof(abi.Port), port, 0) for port in ports])
        options = new(abi.TableOptions)
        options.backend = backend.encode() if backend else None
        options.needs, options.capacity, options.max_workers = needs, capacity, workers
        options.ports, options.n_ports = array, len(ports)
        if clock:
            self.clock = options.clock_ms = abi.CLOCK(lambda _: clock())
        self.call("fo_table_create", byref(options), byref(self.handle))

    def call(self, name, *arguments):
        """Call with an error struct; raise what it says."""
        err = abi.Error()
        code = getattr(self.library, name)(*arguments, byref(err))
        if code < 0:
            raise FlowOffloadError(code, self.reason(err.reason), err)
        return code

    def reason(self, number):
        return self.library.fo_reason_name(number).decode()

    def close(self):
        """End all flows. Workers that are still open are closed first."""
        for worker in list(self.workers):
            worker.close()
        if self.handle is not None:
            self.library.fo_table_destroy(self.handle)
            self.handle = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def open_worker(self, flow_ids=False):
        return Worker(self, flow_ids)

    def capabilities(self):
        """(name of the backend, set of the names of what it can do)."""
        caps = new(abi.Caps)
        self.call("fo_table_caps", self.handle, byref(caps))
        names = {self.library.fo_cap_name(bit).decode() for bit in range(abi.FO_CAP_COUNT) if caps.can >> bit & 1}
        return caps.backend.decode(), names

    def add_adj(self, port, own_mac, peer_mac, mtu=1500, encaps=()):
        """Describe one side; encaps: (kind, id) pairs, the outermost first."""
        adj = new(abi.Adj)
        adj.port, adj.mtu, adj.n_encaps = port, mtu, len(encaps)
        adj.own_mac, adj.peer_mac = mac(own_mac), mac(peer_mac)
        for place, (kind, number) in zip(adj.encap, encaps):
            place.kind, place.id = kind, number
        handle = ctypes.c_uint64()
        self.call("fo_adj_add", self.handle, byref(adj), byref(handle))
        return handle.value

    def add_flow(self, original, reply, original_adj, reply_adj, nat=0, user=0, tag=0, scope=0, timeout_ms=0):
        """Offload one connection, both directions; returns its handle."""
        flow = new(abi.Flow)
        flow.tuple[0], flow.tuple[1] = original, reply
        flow.adj[0], flow.adj[1] = original_adj, reply_adj
        flow.nat, flow.user, flow.tag, flow.scope, flow.timeout_ms = nat, user, tag, scope, timeout_ms
        handle = ctypes.c_uint64()
        self.call("fo_flow_add", self.handle, byref(flow), byref(handle))
        return handle.value

    def del_flow(self, flow):
        """End the offload; Counters, final or not (then the event brings the final ones)."""
        last = new(abi.FlowCounters)
        self.call("fo_flow_del", self.handle, flow, byref(last))
        return counters_of(last)

    def flow_stats(self, flow):
        raw = new(abi.FlowCounters)
        self.call("fo_flow_stats", self.handle, flow, byref(raw))
        return counters_of(raw)

    def invalidate(self, tag=None, port=None):
        """End the flows with this tag and over this port."""
        match = new(abi.Match)
        if tag is not None:
            match.mask, match.tag = match.mask | abi.FO_MATCH_TAG, tag
        if port is not None:
            match.mask, match.port = match.mask | abi.FO_MATCH_PORT, port
        self.call("fo_invalidate", self.handle, byref(match))

    def flows(self):
        """Handles of all flows, closing ones too."""
        found = []
        callback = abi.WALK_CALLBACK(lambda _, info: found.append(info.contents.id) or 0)
        self.call("fo_flow_walk", self.handle, None, callback, None)
        return found

    def explain(self, flow):
        """Is it offloaded, since when, and if not, why not."""
        raw = new(abi.Explanation)
        self.call("fo_flow_explain", self.handle, flow, None, byref(raw))
        return Explanation(raw.flow, self.library.fo_state_name(raw.state).decode(), self.reason(raw.reason),
                           raw.text.decode(), counters_of(raw.counters))

    def poll(self, max_events=0, max_us=0):
        """The events since the last poll; does a slice of the table's upkeep."""
        events = []

        def take(_, event):
            event = event.contents
            kind = self.library.fo_event_name(event.kind).decode()
            events.append(Event(kind, self.reason(event.reason), event.flow, event.user, event.tag,
                                counters_of(event.counters)))

        self.call("fo_table_poll", self.handle, max_events, max_us, abi.EVENT_CALLBACK(take), None)
        return events

    def sync(self, timeout_ms=10000):
        """Wait until workers and backend have let go of what was deleted."""
        self.call("fo_table_sync", self.handle, timeout_ms)

    def fileno(self):
        """For select and asyncio: readable when poll() has work."""
        fd = self.library.fo_table_fd(self.handle)
        if fd < 0:
            raise OSError(-fd, os.strerror(-fd))
        return fd

    def stats(self):
        """The table's counters as a dict; passed: packets by reason."""
        raw = new(abi.TableCounters)
        self.call("fo_stats", self.handle, byref(raw))
        result = {name: getattr(raw, name) for name in ("flows", "closing", "capacity", "added", "refused", "workers",
                                                        "forwarded_packets", "forwarded_bytes", "memory")}
        result["passed"] = {self.reason(i): n for i, n in enumerate(raw.passed) if n}
        return result
