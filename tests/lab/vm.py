#!/usr/bin/env python3
"""Starts one virtual machine, relays what its command prints, and says how it ended. Called by run.sh.

guest_run.sh reports through the port "control": "begin RELEASE" when the command starts, "end STATUS" when it is over.
The serial console goes to a file; that, or the kernel's log that the guest leaves beside it, is searched for complaints.
Everything belongs to this process: pipes instead of ports or paths, so that any number of guests run side by side.
"""
import argparse
import json
import os
import re
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time
import tty

BOOT_SECONDS = 300      # ends a guest that does not come up; says nothing about speed
BACKTRACE_SECONDS = 30  # for a guest that hangs to print where
DEADLINE, TROUBLE, CANNOT = 124, 125, 77
BEGIN = "lab: the command begins"
COMPLAINT = re.compile(
    r"WARNING: |BUG: |kernel BUG at|Oops|general protection fault|Kernel panic|UBSAN: |KASAN: |KFENCE: |"
    r"possible (circular locking|recursive locking|irq lock inversion)|suspicious RCU usage|"
    r"INFO: task .* blocked for more than|refcount_t: |unregister_netdevice: waiting for|"
    r"invalid opcode: |divide error: |stack segment: |double fault: ")
# Timing watchdogs would judge how fast this machine is.
KERNEL_ARGUMENTS = ("console=ttyS0 panic=-1 oops=panic unknown_nmi_panic nowatchdog loglevel=5 log_buf_len=4M "
                    "rcupdate.rcu_cpu_stall_suppress=1 mitigations=off random.trust_cpu=on net.ifnames=0")
PASSED_ON = ("HOME", "LANG", "LC_ALL", "PATH", "PS1", "TERM", "PYTHONDONTWRITEBYTECODE")
PASSED_PREFIXES = ("FO_", "LAB_", "ASAN_", "UBSAN_", "TSAN_", "LSAN_", "CK_", "MESON_")


class Interrupted(Exception):
    def __init__(self, number):
        super().__init__(number)
        self.number = number


class Guest:
    def __init__(self, options):
        self.options = options
        self.folder = run_folder(options.name)
        self.console = os.path.join(self.folder, "console")
        self.sockets = {}
        self.process = None
        self.release = None
        self.status = None
        self.selector = selectors.DefaultSelector()
        self.partial = b""
        self.closed = False
        self.told = False
        self.began = time.monotonic()

    # ---- what the guest reads ------------------------------------------------------------------------------

    def prepare(self):
        environment = {name: value for name, value in os.environ.items()
                       if name in PASSED_ON or name.startswith(PASSED_PREFIXES)}
        environment["LAB_KERNEL"] = self.options.name
        environment["LAB_OUTPUT"] = "/run/lab/output"
        os.mkdir(os.path.join(self.folder, "output"))
        self.leave("environment", "".join(f"{name}={value}\0" for name, value in environment.items()))
        self.leave("command", "".join(word + "\0" for word in self.options.command))
        self.leave("directory", os.getcwd())
        self.leave("kernel", self.options.kernel)
        here = os.path.dirname(os.path.abspath(__file__))
        shutil.copyfile(os.path.join(here, "guest_run.sh"), os.path.join(self.folder, "guest_run.sh"))
        if self.options.tty:
            size = os.get_terminal_size(0)
            self.leave("tty", f"rows {size.lines} cols {size.columns}")

    def leave(self, name, text):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)

    # ---- the machine ---------------------------------------------------------------------------------------

    def start(self):
        ends = {}
        for name in ("control", "out", "err", "tty", "qmp"):
            self.sockets[name], ends[name] = socket.socketpair()
        share = "local,security_model=none,multidevs=remap,mount_tag="
        # A machine may offer KVM and not be able to run a guest with it: only on request.
        accel = os.environ.get("LAB_ACCEL", "tcg,thread=multi")
        command = [
            "setpriv", "--pdeathsig", "KILL", "--",
            "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-M", "q35", "-accel", accel, "-cpu", "max", "-smp", str(self.options.cpus),
            "-m", f"{self.options.memory}M",
            "-kernel", os.path.join(self.options.kernel, "vmlinuz"), "-initrd", self.options.initrd,
            "-append", KERNEL_ARGUMENTS, "-serial", "file:" + self.console.replace(",", ",,"),
            "-virtfs", share + "host,path=/,readonly=on",
            "-virtfs", share + "run,path=" + self.folder.replace(",", ",,"),
            "-device", "virtio-serial-pci", "-device", "virtio-rng-pci",
        ]
        for name, end in ends.items():
            command += ["-chardev", f"socket,id={name},fd={end.fileno()}"]
        command += ["-mon", "chardev=qmp,mode=control", "-device", "virtconsole,chardev=tty"]
        for name in ("control", "out", "err"):
            command += ["-device", f"virtserialport,chardev={name},name={name}"]
        with open(os.path.join(self.folder, "machine"), "wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                pass_fds=[end.fileno() for end in ends.values()])
        for end in ends.values():
            end.close()
        for name in ("control", "out", "err", "tty"):
            self.sockets[name].setblocking(False)
            self.selector.register(self.sockets[name], selectors.EVENT_READ, name)

    def relay(self):
        """Until the command or the machine is over, or time is up. True unless time is up."""
        limit = time.monotonic() + BOOT_SECONDS
        while self.status is None and not self.closed:
            left = limit - time.monotonic()
            if left <= 0:
                return False
            had_begun = self.release
            self.serve(left)
            if self.release and not had_begun:
                if self.options.tty:
                    self.selector.register(0, selectors.EVENT_READ, "terminal")
                limit = time.monotonic() + self.options.deadline
        while self.serve(0):
            continue
        return True

    def serve(self, seconds):
        """One round of input; how many ports had something."""
        ready = self.selector.select(seconds)
        for key, _ in ready:
            try:
                data = os.read(key.fd, 65536)
            except BlockingIOError:
                continue
            except ConnectionResetError:
                data = b""
            if not data:
                self.selector.unregister(key.fileobj)
                self.closed |= key.data == "control"
            elif key.data == "control":
                self.control(data)
            elif key.data == "terminal":
                self.sockets["tty"].sendall(data)
            else:
                write_all(2 if key.data == "err" else 1, data)
        return len(ready)

    def control(self, data):
        *lines, self.partial = (self.partial + data).split(b"\n")
        for line in lines:
            word, _, rest = line.decode(errors="replace").partition(" ")
            if word == "begin":
                self.release = rest
            elif word == "end":
                self.status = int(rest)
            elif word == "where":
                self.told = True

    def backtrace(self):
        """A guest that hangs is asked what it does; when it does not answer, an NMI makes its kernel say and panic."""
        limit = time.monotonic() + BACKTRACE_SECONDS
        try:
            if self.release:
                self.sockets["control"].sendall(b"where\n")
            while self.release and not self.told and not self.closed and time.monotonic() < limit:
                self.serve(max(0.0, limit - time.monotonic()))
            if not self.told:
                self.sockets["qmp"].sendall(json.dumps({"execute": "qmp_capabilities"}).encode() +
                                            json.dumps({"execute": "inject-nmi"}).encode())
                self.process.wait(BACKTRACE_SECONDS)
        except (OSError, subprocess.TimeoutExpired):
            return

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait()
        for end in self.sockets.values():
            end.close()

    # ---- the verdict ---------------------------------------------------------------------------------------

    def log(self):
        """What there is to show: the kernel's log, whole as the guest left it or what came over the console; or where
        the processes of a guest that hangs are."""
        for name in ("dmesg", "where", "console"):
            if self.text(name):
                return name, self.text(name)
        return "console", ""

    def text(self, name):
        try:
            with open(os.path.join(self.folder, name), encoding="utf-8", errors="replace") as file:
                return file.read().replace("\r", "")
        except FileNotFoundError:
            return ""

    def complaints(self):
        text = self.text("dmesg") or self.text("console")
        text = text.partition(BEGIN)[2] or text
        return [line for line in text.splitlines() if COMPLAINT.search(line)]

    def verdict(self, in_time):
        complaints = self.complaints()
        took = f"{time.monotonic() - self.began:.0f} s"
        if not in_time:
            what = "the command did not end" if self.release else "the guest did not come up"
            limit = self.options.deadline if self.release else BOOT_SECONDS
            self.explain(f"HANG: {what} within {limit} s", complaints)
            return DEADLINE
        if self.status is None:
            what = "the kernel died" if complaints else "the machine ended before its command"
            self.explain(f"DEAD: {what} after {took}", complaints)
            return TROUBLE
        if complaints:
            self.explain(f"KERNEL COMPLAINT: (the command's exit status was {self.status})", complaints)
            return self.status if self.status not in (0, CANNOT) else TROUBLE
        say(f"{self.release}: exit status {self.status}, {took}")
        return self.status

    def explain(self, headline, complaints):
        name, text = self.log()
        machine = self.text("machine").strip()
        lines = text.splitlines()
        first = next((n for n, line in enumerate(lines) if complaints and line == complaints[0]), None)
        shown = lines[-60:] if first is None else lines[max(0, first - 2):first + 50]
        sys.stderr.write("".join(f"lab | {line}\n" for line in shown))
        if machine:
            sys.stderr.write(f"lab: the machine said: {machine}\n")
        if complaints:
            sys.stderr.write(f"lab: first of {len(complaints)} complaints: {complaints[0]}\n")
        say(f"{self.options.name}: {headline}; see {os.path.join(self.folder, name)}")

    def keep(self, code):
        """Only what somebody will look at stays: the folder of a run that failed, or that has results in it."""
        output = os.path.join(self.folder, "output")
        if os.path.isdir(output) and os.listdir(output):
            say(f"{self.options.name}: results in {output}")
        elif code in (0, CANNOT):
            shutil.rmtree(self.folder)


def run_folder(name):
    root = os.environ.get("LAB_RUNS") or os.path.join(
        os.path.dirname(os.path.abspath(__file__)), "..", "..", "build", "lab")
    root = os.path.realpath(root)
    os.makedirs(root, exist_ok=True)
    return tempfile.mkdtemp(prefix=name + "-", dir=root)


def say(text):
    sys.stdout.flush()
    sys.stderr.write(f"lab: {text}\n")
    sys.stderr.flush()


def write_all(fd, data):
    while data:
        data = data[os.write(fd, data):]


def interrupted(number, _frame):
    raise Interrupted(number)


def run(guest):
    """Boot, run, judge; the terminal is raw only meanwhile."""
    saved = None
    if guest.options.tty:
        saved = termios.tcgetattr(0)
    try:
        guest.prepare()
        guest.start()
        if saved:
            tty.setraw(0, termios.TCSADRAIN)
        in_time = guest.relay()
        if not in_time:
            guest.backtrace()
    finally:
        if saved:
            termios.tcsetattr(0, termios.TCSADRAIN, saved)
        guest.stop()
    return guest.verdict(in_time)


def main():
    parser = argparse.ArgumentParser()
    for name in ("name", "kernel", "initrd"):
        parser.add_argument("--" + name, required=True)
    for name in ("deadline", "memory", "cpus"):
        parser.add_argument("--" + name, type=int, required=True)
    parser.add_argument("--tty", action="store_true")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    guest = Guest(options)
    try:
        code = run(guest)
    except Interrupted as signal_received:
        code = 128 + signal_received.number
        say(f"{options.name}: interrupted")
    except BrokenPipeError:
        code = 128 + signal.SIGPIPE
    guest.keep(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
