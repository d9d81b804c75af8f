#!/usr/bin/env python3
"""The lab's own tests: what run.sh promises of exit statuses, output, hangs, panics, complaints and cleaning up.

  selftest.py [KERNEL [TEST...]]   default kernel: run.sh's; closes with `N passed, N failed, N skipped`

Every machine that is started here is found again by the folder that it was given, so nobody else's is counted.
"""
import glob
import hashlib
import os
import pathlib
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
RUN = str(HERE / "run.sh")
PATIENCE = int(os.environ.get("LAB_PATIENCE", "600"))  # ends what hangs


class Lab:
    """One folder of runs; machines that use it are those started from here."""

    def __init__(self, kernel, folder):
        self.kernel = kernel
        self.folder = folder
        self.environment = dict(os.environ, LAB_RUNS=folder, FO_LAB_TEST="as it was")

    def command(self, *words, options=()):
        # A guest of two emulated processors has died at boot, when its kernel patched code that the other was running.
        return [RUN, "--cpus", "1", *options, self.kernel, *words]

    def run(self, *words, options=(), environment=None):
        return subprocess.run(self.command(*words, options=options), env=environment or self.environment,
                              capture_output=True, timeout=PATIENCE, check=False)

    def shell(self, script, options=()):
        return self.run("bash", "-c", script, options=options)

    def start(self, *words):
        return subprocess.Popen(self.command(*words), env=self.environment, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)

    def machines(self):
        """Process ids of the virtual machines of this folder."""
        found = []
        for path in glob.glob("/proc/[0-9]*/cmdline"):
            try:
                line = pathlib.Path(path).read_bytes().split(b"\0")
            except OSError:
                continue
            if line[0].endswith(b"qemu-system-x86_64") and any(self.folder.encode() in word for word in line):
                found.append(int(path.split("/")[2]))
        return found

    def gone(self):
        limit = time.monotonic() + PATIENCE
        while self.machines():
            if time.monotonic() > limit:
                return False
            time.sleep(0.1)
        return True


def expect(condition, text, run=None):
    if not condition:
        raise AssertionError(text + (f"\nstatus {run.returncode}\n{run.stdout[-2000:]!r}\n{run.stderr[-4000:].decode()}"
                                     if run else ""))


def passes_status_output_and_surroundings(lab):
    marker = f"/etc/lab-test-{os.getpid()}"
    run = lab.shell(f'pwd; echo "$FO_LAB_TEST"; cat; touch {marker} /tmp/lab-test && echo written; '
                    "id -u; cat /sys/class/net/lo/operstate; echo to-stderr >/dev/stderr; exit 7")
    expect(run.returncode == 7, "the exit status is the command's", run)
    expect(run.stdout.decode().split("\n")[:4] == [os.getcwd(), "as it was", "written", "0"], "its output", run)
    expect(b"to-stderr\n" in run.stderr and b"to-stderr" not in run.stdout, "its standard error apart", run)
    expect(not os.path.exists(marker), "this machine's files stay as they are", run)
    expect(not os.listdir(lab.folder), "nothing is left of a run that went well but its status", run) \
        if run.returncode == 0 else None


def output_is_complete(lab):
    run = lab.shell("seq 1 300000; seq 1 20000 >&2")
    wanted = "".join(f"{n}\n" for n in range(1, 300001)).encode()
    expect(run.returncode == 0, "it ends well", run)
    expect(hashlib.sha256(run.stdout).digest() == hashlib.sha256(wanted).digest(), "every byte of the output", run)
    wanted = "".join(f"{n}\n" for n in range(1, 20001)).encode()
    expect(run.stderr.startswith(wanted), "every byte of standard error", run)
    expect(not os.listdir(lab.folder), "nothing is left of a run that went well", run)


def modules_load_when_wanted(lab):
    run = lab.shell("set -e; nft add table inet t; "
                    "nft add flowtable inet t f '{ hook ingress priority 0; devices = { lo }; }'; "
                    "ip link add name va type veth peer name vb; ip link add link va name va.7 type vlan id 7; "
                    "ip link add name br type bridge; tc qdisc add dev va clsact; "
                    "tc filter add dev va ingress protocol ip flower ip_proto tcp action drop; "
                    "modprobe -a nft_flow_offload nf_flow_table_inet nf_conntrack_netlink pppoe nft_masq; "
                    "conntrack -L")
    expect(run.returncode == 0, "flowtable, veth, VLAN, bridge, flower and conntrack are there", run)


def leftovers_do_not_hold_it(lab):
    run = lab.shell("sleep 100000 & setsid sleep 100000 & echo done")
    expect(run.returncode == 0 and run.stdout == b"done\n", "what the command left behind is ended", run)


def results_come_out(lab):
    run = lab.shell("echo result >$LAB_OUTPUT/file")
    found = glob.glob(lab.folder + "/*/output/file")
    expect(run.returncode == 0 and len(found) == 1, "a file in $LAB_OUTPUT stays on this machine", run)
    expect(pathlib.Path(found[0]).read_text(encoding="utf-8") == "result\n", "with its contents", run)


def hang_has_a_verdict(lab):
    run = lab.shell("echo before; sleep 100000", options=("--deadline", "5"))
    expect(run.returncode == 124, "a command that does not end has status 124", run)
    expect(run.stdout == b"before\n", "what it said before is passed on", run)
    expect(b"HANG: the command did not end within 5 s" in run.stderr, "the verdict says so", run)
    expect(b"sleep 100000" in run.stderr and b"hrtimer_nanosleep" in run.stderr, "and what hangs where", run)


def dead_guest_has_a_verdict(lab):
    # The reader of requests is gone: only the kernel can answer.
    run = lab.shell("kill -STOP $(pgrep -f guest_run.sh); sleep 100000", options=("--deadline", "5"))
    expect(run.returncode == 124, "a guest that answers nothing has status 124", run)
    expect(b"Call Trace" in run.stderr, "and its kernel says where it was", run)


def panic_has_a_verdict(lab):
    run = lab.shell("echo before; echo c >/proc/sysrq-trigger; sleep 100000")
    expect(run.returncode == 125, "a panic has status 125", run)
    expect(b"DEAD: the kernel died" in run.stderr and b"sysrq" in run.stderr, "the console's words are shown", run)
    expect(run.stdout == b"before\n", "what it said before is passed on", run)


def sudden_end_has_a_verdict(lab):
    run = lab.shell("echo b >/proc/sysrq-trigger; sleep 100000")
    expect(run.returncode == 125 and b"DEAD: the machine ended before its command" in run.stderr,
           "a machine that goes without a word has status 125", run)


def complaint_fails_a_command_that_passed(lab):
    # The form in which the kernel's WARN() begins; its kernels have no way to provoke a real one.
    run = lab.shell("echo '<4>WARNING: CPU: 0 PID: 1 at net/core/test.c:1 test+0x1/0x2' >/dev/kmsg")
    expect(run.returncode == 125, "a warning fails the run", run)
    expect(b"KERNEL COMPLAINT" in run.stderr and b"net/core/test.c" in run.stderr, "and is shown", run)
    run = lab.shell("echo '<6>nothing but a remark' >/dev/kmsg; exit 3")
    expect(run.returncode == 3, "a remark does not", run)


def interruption_ends_the_machine(lab):
    for number, wanted in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        with lab.start("bash", "-c", "echo up; sleep 100000") as process:
            expect(process.stdout.readline() == b"up\n", "it comes up")
            expect(len(lab.machines()) == 1, "one machine runs")
            process.send_signal(number)
            expect(process.wait(PATIENCE) == wanted, f"signal {number} ends it with {wanted}")
        expect(not lab.machines(), "and the machine with it")


def death_of_the_watcher_ends_the_machine(lab):
    with lab.start("bash", "-c", "echo up; sleep 100000") as process:
        expect(process.stdout.readline() == b"up\n", "it comes up")
        process.kill()
        process.wait(PATIENCE)
    expect(lab.gone(), "no machine outlives its watcher")


def two_at_once(lab):
    processes = [lab.start("bash", "-c", f"echo {n} >/tmp/mine; sleep 1; cat /tmp/mine; exit {n}") for n in (3, 4)]
    for n, process in zip((3, 4), processes):
        output, _ = process.communicate(timeout=PATIENCE)
        expect(process.returncode == n and output == f"{n}\n".encode(), f"guest {n} knows nothing of the other")


def shell_on_a_terminal(lab):
    child, terminal = pty.fork()
    if child == 0:
        os.execve(RUN, [RUN, lab.kernel], dict(lab.environment, SHELL="/bin/bash"))
    text = b""
    while select.select([terminal], [], [], PATIENCE)[0]:
        try:
            text += os.read(terminal, 4096)
        except OSError:  # its other end is closed
            break
        if text.endswith(b"# ") and b"42" not in text:
            os.write(terminal, b"echo $((6*7)) on $(tty); exit 9\n")
    else:
        os.kill(child, signal.SIGTERM)
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    expect(re.search(rb"42 on /dev/hvc0", text), f"a shell answers: {text!r}")
    expect(os.waitstatus_to_exitcode(status) == 9, f"its status is passed on: {text!r}")


def lack_is_not_failure(lab):
    with tempfile.TemporaryDirectory() as folder:
        for tool in ("bash", "dirname", "readlink", "uname"):
            os.symlink(subprocess.check_output(["which", tool], text=True).strip(), os.path.join(folder, tool))
        run = lab.run("true", environment=dict(lab.environment, PATH=folder))
        expect(run.returncode == 77, "without its tools the lab has status 77", run)
        expect(b"missing package qemu-system-x86" in run.stderr, "and names the package", run)


TESTS = [
    passes_status_output_and_surroundings, output_is_complete, modules_load_when_wanted, leftovers_do_not_hold_it,
    results_come_out, hang_has_a_verdict, dead_guest_has_a_verdict,
    panic_has_a_verdict, sudden_end_has_a_verdict,
    complaint_fails_a_command_that_passed, interruption_ends_the_machine, death_of_the_watcher_ends_the_machine,
    two_at_once, shell_on_a_terminal, lack_is_not_failure,
]


def main():
    kernel = sys.argv[1] if len(sys.argv) > 1 else "6.1"
    failed = 0
    tests = [test for test in TESTS if not sys.argv[2:] or test.__name__ in sys.argv[2:]]
    with tempfile.TemporaryDirectory(prefix="lab-selftest-") as folder:
        probe = subprocess.run([RUN, "--cpus", "1", kernel, "true"], env=dict(os.environ, LAB_RUNS=folder), capture_output=True,
                               timeout=PATIENCE, check=False)
        if probe.returncode == 77:
            print(probe.stderr.decode().strip())
            return 77
        for test in tests:
            with tempfile.TemporaryDirectory(dir=folder) as own:
                try:
                    test(Lab(kernel, own))
                    print(f"ok   {test.__name__}", flush=True)
                except (AssertionError, subprocess.TimeoutExpired) as problem:
                    failed += 1
                    print(f"FAIL {test.__name__}: {problem}", flush=True)
    print(f"{len(tests) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed or not tests else 0


if __name__ == "__main__":
    sys.exit(main())
