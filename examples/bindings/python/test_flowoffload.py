#!/usr/bin/env python3
"""Tests of the binding: test_flowoffload.py LIBRARY [unittest's arguments]"""
import contextlib
import errno
import io
import os
import pathlib
import select
import subprocess
import sys
import unittest

import example
import flowoffload
from flowoffload import abi

ROOT = pathlib.Path(__file__).resolve().parents[3]


class Prototypes(unittest.TestCase):
    def test_every_public_function_is_bound_but_backend_register(self):
        listing = subprocess.run([sys.executable, ROOT / "tests/check/api_functions.py"], capture_output=True,
                                 text=True, check=True).stdout.split()
        self.assertEqual(sorted([*abi.PROTOTYPES, "fo_backend_register"]), listing)

    def test_the_library_and_the_binding_agree_on_names(self):
        library = abi.load()
        self.assertEqual(library.fo_event_name(abi.FO_EV_EXPIRED), b"expired")
        self.assertEqual(library.fo_reason_name(abi.FO_R_MAX), b"unknown")
        self.assertNotEqual(library.fo_cap_name(abi.FO_CAP_COUNT - 1), b"unknown")


class OneConnection(unittest.TestCase):
    def setUp(self):
        self.now = 1000
        self.table = flowoffload.Table(ports=[example.LAN, example.WAN], backend="soft", capacity=16, workers=1,
                                       clock=lambda: self.now)
        self.addCleanup(self.table.close)
        self.flow = example.add_connection(self.table)
        self.worker = self.table.open_worker(flow_ids=True)

    def send(self, payload=b"question", src="192.168.1.2"):
        frame = example.udp_frame(example.ROUTER, src, 5000, "198.51.100.7", 53, payload)
        verdict, = self.worker.run([frame], in_port=example.LAN, when_ms=self.now)
        return frame, verdict

    def test_a_packet_is_translated_and_forwarded(self):
        frame, verdict = self.send()
        want = example.udp_frame("02:00:00:00:00:03", "203.0.113.1", 40000, "198.51.100.7", 53, b"question")
        self.assertTrue(verdict.forwarded)
        self.assertEqual((verdict.out_port, verdict.flow), (example.WAN, self.flow))
        self.assertEqual(verdict.frame[:6], want[:6])
        self.assertEqual(verdict.frame[6:12], bytes(flowoffload.mac(example.ROUTER)))
        self.assertEqual(verdict.frame[22], frame[22] - 1)
        self.assertEqual(verdict.frame[26:], want[26:])
        self.assertEqual(example.ones_sum(verdict.frame[14:34]), 0xffff)

    def test_an_unknown_packet_passes_untouched(self):
        frame, verdict = self.send(src="192.168.1.3")
        self.assertFalse(verdict.forwarded)
        self.assertEqual((verdict.reason, verdict.frame, verdict.out_port), ("no-flow", frame, None))
        self.assertEqual(self.table.stats()["passed"], {"no-flow": 1})

    def test_counters_and_the_last_event(self):
        self.send(b"four")
        self.send(b"four")
        counters = self.table.flow_stats(self.flow)
        self.assertEqual((counters.packets, counters.bytes, counters.final), ((2, 0), (64, 0), False))
        self.assertEqual(self.table.flows(), [self.flow])
        self.now += 10 * 60 * 1000
        events = self.table.poll()
        self.table.sync()
        events += self.table.poll()
        self.assertEqual([(e.kind, e.reason, e.flow, e.user) for e in events], [("expired", "idle", self.flow, 42)])
        self.assertEqual(events[0].counters.packets, (2, 0))
        self.assertTrue(events[0].counters.final)
        self.assertEqual(self.table.flows(), [])

    def test_delete_hands_the_final_counters_back(self):
        self.send()
        last = self.table.del_flow(self.flow)
        self.assertTrue(last.final)
        self.assertEqual(last.packets, (1, 0))
        self.assertEqual(self.table.poll(), [])
        self.assertFalse(self.send()[1].forwarded)

    def test_invalidation_is_an_event_and_wakes_the_descriptor(self):
        fd = self.table.fileno()
        self.table.invalidate(port=example.WAN)
        self.assertEqual(self.send()[1].reason, "invalidated")
        self.assertEqual(select.select([fd], [], [], 60)[0], [fd])
        self.table.sync()
        self.assertEqual([event.kind for event in self.table.poll()], ["invalidated"])

    def test_a_refusal_is_an_exception_with_reason_and_field(self):
        with self.assertRaises(flowoffload.FlowOffloadError) as caught:
            example.add_connection(self.table)
        self.assertEqual((caught.exception.errno, caught.exception.reason), (errno.EEXIST, "exists"))
        with self.assertRaises(flowoffload.FlowOffloadError) as caught:
            self.table.add_adj(99, example.ROUTER, "02:00:00:00:00:02")
        self.assertEqual((caught.exception.reason, caught.exception.field), ("port", "port"))
        self.assertEqual(self.table.stats()["refused"], 1)

    def test_explain_speaks_of_the_flow(self):
        self.send()
        explanation = self.table.explain(self.flow)
        self.assertEqual((explanation.state, explanation.counters.packets), ("active", (1, 0)))
        self.assertIn("soft", explanation.text)

    def test_capabilities_have_names(self):
        backend, names = self.table.capabilities()
        self.assertEqual(backend, "soft")
        self.assertLessEqual({"ipv4", "snat", "worker"}, names)

    def test_a_closed_worker_refuses_to_run(self):
        self.worker.close()
        with self.assertRaises(ValueError):
            self.send()

    def test_tuples_of_two_families_are_refused(self):
        with self.assertRaises(ValueError):
            flowoffload.make_tuple("192.0.2.1", 1, "2001:db8::1", 2)


class Example(unittest.TestCase):
    def test_it_runs_and_says_what_happened(self):
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            example.main()
        self.assertIn("forwarded: True, by port 2, from 203.0.113.1:40000", said.getvalue())
        self.assertIn("event: invalidated (invalidated), user 42, (1, 0) packets", said.getvalue())


def main():
    os.environ["FLOWOFFLOAD_LIBRARY"] = sys.argv[1]
    program = unittest.main(argv=sys.argv[:1] + sys.argv[2:], exit=False, verbosity=2)
    failed = len(program.result.failures) + len(program.result.errors)
    skipped = len(program.result.skipped)
    print(f"{program.result.testsRun - failed - skipped} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not program.result.testsRun else 0


if __name__ == "__main__":
    sys.exit(main())
