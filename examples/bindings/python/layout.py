#!/usr/bin/env python3
"""Print a C program that compares what abi.py says with the header: layout of every struct, value of every constant.

The build compiles it, a test runs it: a change of the header that the binding did not follow is found at once.
"""
import ctypes

import abi

HEAD = """\
/* Written by layout.py. */
#include "flowoffload.h"

#include <stdio.h>

static unsigned int passed, failed;

static void same(const char *what, unsigned long long c, unsigned long long python)
{
	if (c == python) {
		passed++;
		return;
	}
	failed++;
	printf("%s: %llu in C, %llu in Python\\n", what, c, python);
}

"""


def struct_checks(struct):
    name = f"struct {struct.c_name}"
    yield f'same("sizeof {name}", sizeof({name}), {ctypes.sizeof(struct)});'
    for field in struct._fields_:
        place = getattr(struct, field[0])
        member = f"{name}.{field[0]}"
        yield f'same("offset of {member}", offsetof({name}, {field[0]}), {place.offset});'
        yield f'same("sizeof {member}", sizeof((({name} *)0)->{field[0]}), {place.size});'


def main():
    print(HEAD, end="")
    for struct in abi.STRUCTS:
        print(f"static void check_{struct.c_name}(void)\n{{")
        for line in struct_checks(struct):
            print("\t" + line)
        print("}\n")
    print("static void check_constants(void)\n{")
    for name, value in abi.CONSTANTS.items():
        print(f'\tsame("{name}", (unsigned long long)({name}), {value}ULL);')
    print("}\n\nint main(void)\n{")
    for struct in abi.STRUCTS:
        print(f"\tcheck_{struct.c_name}();")
    print("\tcheck_constants();")
    print('\tprintf("%u passed, %u failed, 0 skipped\\n", passed, failed);\n\treturn failed || !passed;\n}')


if __name__ == "__main__":
    main()
