"""Build the C core: the module `minitensor.backend._core`, by cffi.

The build generates the tables of dtypes and ops for C from `dtype.py` and `optable.py`, so that
each table exists once. It adds a fingerprint of them (`fingerprint.py`), by which the import
detects a stale core. The build loads these modules by their path: it runs before the package can be
imported, and in an environment that has cffi and setuptools but no NumPy. The generated files lie
in `core/generated/`. A file is written only when its content changes, so that a second build
compiles nothing.

`core.h` is the only declaration of the interface. cffi reads it as it stands, without the lines of
the preprocessor; a `...;` inside a struct tells cffi of further fields. C reads
`core/generated/core_c.h`, in which the mark of `typedef struct mt_tensor {` is the macro
`MT_TENSOR_PRIVATE`, which types.h may define.

Environment: CC and CFLAGS as usual; MINITENSOR_WERROR=1; MINITENSOR_SANITIZE=address, thread or
undefined (or several, separated by commas). `python setup.py build_ext --inplace` builds in place.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Any

from cffi import FFI

CORE = Path(__file__).resolve().parent.parent
PACKAGE = CORE.parent
GENERATED = CORE / "generated"
CALLBACKS = "void *mt_py_host(void *handle);\nvoid mt_py_release(void *handle);\n"
STATUS = {
    "": "MT_RUNTIME_ERROR",
    "ValueError": "MT_VALUE_ERROR",
    "ZeroDivisionError": "MT_ZERO_DIVISION_ERROR",
}
SLOTS = {  # operators, and the slots Py_nb_... of CPython's number protocol
    "neg": "negative",
    "pos": "positive",
    "abs": "absolute",
    "invert": "invert",
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "true_divide",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "pow": "power",
    "and": "and",
    "or": "or",
    "xor": "xor",
    "lshift": "lshift",
    "rshift": "rshift",
}
SET = """int mt_configure(const char *name, int64_t value) {
    static const char *const names[MT_SETTINGS] = {NAMES};
    for (int i = 0; i < MT_SETTINGS; i++)
        if (strcmp(names[i], name) == 0) {
            mt_settings[i] = value;
            return MT_OK;
        }
    return MT_VALUE_ERROR;
}
"""
ISAS = ("baseline", "avx2", "avx512")
RULES = ("same", "float", "compare", "logical", "test", "bitwise", "where", "index", "sum")


def load(name: str) -> Any:
    """Return a module of the package, loaded by its path."""
    path = PACKAGE / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"_minitensor_build_{name}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write(name: str, text: str) -> None:
    """Write a generated file, if its content changes."""
    path = GENERATED / name
    GENERATED.mkdir(exist_ok=True)
    text = "/* Made by _build.py; changes to it are lost. */\n" + text
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def for_c(header: str) -> str:
    """Return core.h in the form that a C compiler accepts."""
    names: list[str] = []

    def private(match: re.Match[str]) -> str:
        names.append(f"{match[2].upper()}_PRIVATE")
        return f"{match[1]}{names[-1]}"

    header = re.sub(r"(typedef struct (\w+) \{[^}]*?)\.\.\.;", private, header)
    defaults = "".join(f"#ifndef {name}\n#define {name}\n#endif\n" for name in names)
    return defaults + header


def string(text: str) -> str:
    """Return a C string literal."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def tables(dtypes: Any, ops: Any, config: Any, fingerprint: int) -> tuple[str, str]:
    """Return the header with the codes, and the C file with the tables and the fingerprint."""
    types, rows = dtypes.DTYPES, list(ops.OPS.values())
    settings = [flag for flag in config.FLAGS.values() if flag.core]
    n, m = "[MT_NUM_DTYPES]", "[MT_NUM_OPS]"
    arrays: list[tuple[str, list[str]]] = [  # (declaration, values)
        (f"const uint8_t MT_ITEMSIZE{n}", [str(d.itemsize) for d in types]),
        (f"const char MT_KIND{n}", [f"'{d.kind}'" for d in types]),
        (f"const char *const MT_DTYPE_NAME{n}", [string(d.name) for d in types]),
        (f"const uint8_t MT_HAS_KERNELS{n}", [str(int(d.ctype != "")) for d in types]),
        (f"const int8_t MT_COMPUTE{n}", [str(d.compute.code if d.compute else -1) for d in types]),
        (f"const uint8_t MT_PROMOTE{n}{n}",
         ["{" + ", ".join(str(dtypes.promote(a, b).code) for b in types) + "}" for a in types]),
        (f"const uint8_t MT_TO_FLOAT{n}", [str(dtypes.to_float(d).code) for d in types]),
        (f"const char *const MT_OP_NAME{m}", [string(op.name) for op in rows]),
        (f"const uint8_t MT_OP_INPUTS{m}", [str(op.inputs) for op in rows]),
        (f"const uint8_t MT_OP_RULE{m}", [f"MT_RULE_{op.rule}" for op in rows]),
        (f"const char *const MT_OP_KINDS{m}", [string(op.kinds) for op in rows]),
        (f"const uint8_t MT_OP_ERROR_STATUS{m}", [STATUS[op.error[0]] for op in rows]),
        (f"const char *const MT_OP_ERROR_TEXT{m}", [string(op.error[1]) for op in rows]),
        (f"const uint8_t MT_OP_COST{m}", [str(ops.COSTS.get(op.name, 1)) for op in rows]),
        ("const uint8_t MT_ARRAY_COST[MT_NUM_ARRAY_COSTS][2]",
         [f"{{{a}, {b}}}" for a, b in (kernel.cost for kernel in ops.ARRAY_KERNELS)]),
    ]  # fmt: skip
    setting_names = [f"MT_SETTING_{flag.name.removeprefix('MINITENSOR_')}" for flag in settings]
    header = (
        "#ifndef MT_GENERATED_H\n#define MT_GENERATED_H\n#include <stdint.h>\n"
        + "/* Defined in Python: calls of host functions, and releases of their handles. */\n"
        + CALLBACKS
        + f"#define MT_NUM_DTYPES {len(types)}\n#define MT_NUM_OPS {len(rows)}\n"
        + f"#define MT_NUM_ELEMENTWISE {len(ops.ELEMENTWISE)}\n"
        + f"#define MT_NUM_ARRAY_COSTS {len(ops.ARRAY_KERNELS)}\n"
        + "enum mt_dtype {\n    "
        + ",\n    ".join(f"MT_DT_{d.name} = {d.code}" for d in types)
        + "\n};\n"
        + "enum mt_op {\n    "
        + ",\n    ".join(f"MT_OP_{op.name} = {ops.CODES[op.name]}" for op in rows)
        + "\n};\n"
        + "enum mt_setting { " + ", ".join(setting_names) + ", MT_SETTINGS };\n"
        + "/* The environment variables of config.py that C reads. */\n"
        + "extern _Atomic int64_t mt_settings[MT_SETTINGS];\n"
        + "enum mt_rule { " + ", ".join(f"MT_RULE_{rule}" for rule in RULES) + " };\n"
        + "".join(f"extern {declaration};\n" for declaration, _ in arrays)
        + "/* Of the sources: minitensor/fingerprint.py. */\n"
        + "extern const uint64_t MT_FINGERPRINT;\n#endif\n"
    )  # fmt: skip
    source = '#include <string.h>\n'
    source += '#include "generated/core_c.h"\n#include "generated/generated.h"\n'
    source += "".join(
        f"{declaration} = {{\n    " + ",\n    ".join(values) + "\n};\n"
        for declaration, values in arrays
    )
    names = ", ".join(string(flag.name) for flag in settings)
    defaults = ", ".join(str(int(flag.parse(flag.default))) for flag in settings)
    source += f"_Atomic int64_t mt_settings[MT_SETTINGS] = {{{defaults}}};\n"
    source += SET.replace("NAMES", names)
    source += f"const uint64_t MT_FINGERPRINT = UINT64_C({fingerprint:#x});\n"
    source += "uint64_t mt_fingerprint(void) { return MT_FINGERPRINT; }\n"
    return header, source


def kernels(dtypes: Any, ops: Any) -> str:
    """Return a line `KERNEL<inputs>(name, OUT, A, T, UT, expression)` for each kernel; a table."""
    lines, table = [], []
    for op in ops.ELEMENTWISE:
        for d in dtypes.DTYPES:
            expression = op.expression(d.kind) if d.ctype else None
            if expression is None:
                continue
            unsigned = f"uint{8 * d.itemsize}_t"
            out = "uint8_t" if op.rule in ("compare", "logical", "test") else d.ctype
            first = "uint8_t" if op.rule == "where" else d.ctype
            name = f"k_{op.name}_{d.name}"  # whole tokens: `bool` and `log` may be macros
            if text := op.special_expression(d.kind):
                kind = op.special_case[0]
                given = f"{name}, {d.ctype}, {unsigned}, {kind}, {text}, {expression}"
                lines.append(f"KERNEL{op.inputs}_SPECIAL({given})\n")
            else:
                given = f"{name}, {out}, {first}, {d.ctype}, {unsigned}, {expression}"
                lines.append(f"KERNEL{op.inputs}({given})\n")
            table.append(f"[MT_OP_{op.name}][MT_DT_{d.name}] = {name},\n")
    return "#ifdef KERNEL1\n" + "".join(lines) + "#else\n" + "".join(table) + "#endif\n"


def array_kernels(ops: Any) -> None:
    """Write the table of the array kernels, and a file for each of their files and each set."""
    rows = ops.ARRAY_KERNELS
    codes = "".join(f"    MT_ARRAY_{kernel.name},\n" for kernel in rows)
    names = "".join(f"ARRAY_KERNEL({kernel.name}, {string(kernel.kinds)})\n" for kernel in rows)
    write("array_codes.h", f"enum {{\n{codes}    MT_NUM_ARRAY_KERNELS\n}};\n")
    write("array_kernels_gen.h", names)
    files = dict.fromkeys(kernel.file for kernel in ops.ARRAY_KERNELS)
    wanted = {f"isa_{isa}_{file}.c": (isa, file) for isa in ISAS for file in files}
    for name, (isa, file) in wanted.items():
        included = f'#define MT_ONLY_ARRAYS "kernels/arrays/{file}.h"\n'
        write(name, f'{included}#include "kernels/isa_{isa}.c"\n')
    for path in GENERATED.glob("isa_*.c"):
        if path.name not in wanted:
            path.unlink()


def operators(ops: Any, docs: Any) -> str:
    """Return the lines of the ops and of the operators.

    An op has a line `OP<inputs>(name, doc, operands)`, an operator a line `SLOT<arguments>(slot,
    name)` or `COMPARE(code, name)`.
    """
    macros = ("OP1", "OP2", "OP3", "SLOT1", "SLOT2", "SLOT3", "COMPARE")
    lines: dict[str, list[str]] = {macro: [] for macro in macros}
    for op in ops.ELEMENTWISE:
        operands = ", ".join(map(string, op.params[: op.inputs]))
        lines[f"OP{op.inputs}"].append(f"({op.name}, {string(docs.documentation(op))}, {operands})")
        if op.operator in SLOTS:
            # The third argument of pow() is a modulus.
            arguments = 3 if op.operator == "pow" else op.inputs
            lines[f"SLOT{arguments}"].append(f"({SLOTS[op.operator]}, {op.name})")
        elif op.operator:
            lines["COMPARE"].append(f"({op.operator.upper()}, {op.name})")
    return "".join(
        f"#ifdef {macro}\n" + "".join(f"{macro}{line}\n" for line in some) + "#endif\n"
        for macro, some in lines.items()
    )


def generate() -> None:
    """Write all generated files."""
    dtypes, ops = load("dtype"), load("optable")
    header, source = tables(dtypes, ops, load("config"), load("fingerprint").compute())
    write("core_c.h", for_c((CORE / "core.h").read_text(encoding="utf-8")))
    write("generated.h", header)
    write("tables.c", source)
    write("kernels_gen.h", kernels(dtypes, ops))
    write("operators_gen.h", operators(ops, load("opdocs")))
    array_kernels(ops)


def check_compiler() -> None:
    """Exit with one sentence if there is no C compiler."""
    if {"sdist", "egg_info", "dist_info"} & set(sys.argv):
        return  # these commands compile nothing
    command = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    wrappers = ("ccache", "sccache", "env")
    name = next((word for word in command if os.path.basename(word) not in wrappers), "cc")
    if os.name == "posix" and shutil.which(name) is None:
        raise SystemExit(
            f"[build] minitensor's core is C and no C compiler was found (tried {name}); "
            "install one, on Debian or Ubuntu: apt install gcc python3-dev"
        )


def flags() -> tuple[list[str], list[str]]:
    """Return the flags of the compiler and of the linker."""
    # -ffast-math is absent: NaN, infinities and signed zeros are part of the results. The two flags
    # of mathematics only declare that errno and floating-point traps are not read; without them, a
    # loop over sqrt or a comparison does not become a vector loop. Contraction to fused
    # multiply-adds stays off: a result must not depend on the machine.
    compile_args = [
        "-std=c11",
        "-O3",
        "-fwrapv",
        "-fno-math-errno",
        "-fno-trapping-math",
        "-ffp-contract=off",
        "-fvisibility=hidden",
        "-fno-strict-aliasing",
        "-Wall",
        "-Wextra",
        "-D_GNU_SOURCE",
    ]
    link_args: list[str] = []
    if os.environ.get("MINITENSOR_WERROR") == "1":
        compile_args.append("-Werror")
    if sanitizers := os.environ.get("MINITENSOR_SANITIZE"):
        compile_args += [
            f"-fsanitize={sanitizers}",
            "-fno-sanitize-recover=undefined",
            "-fno-omit-frame-pointer",
            "-g",
            "-O1",
        ]
        link_args.append(f"-fsanitize={sanitizers}")
    return compile_args, link_args


def make() -> FFI:
    """Generate the files and return cffi's description of the extension."""
    check_compiler()
    generate()
    root = PACKAGE.parent  # setuptools wants paths relative to setup.py
    sources = [p.relative_to(root).as_posix() for p in sorted(CORE.rglob("*.c"))]
    included = sorted([*CORE.rglob("*.h"), *CORE.rglob("*.inc")])
    headers = [p.relative_to(root).as_posix() for p in included]
    compile_args, link_args = flags()
    builder = FFI()
    header = (CORE / "core.h").read_text(encoding="utf-8")
    builder.cdef("\n".join(line for line in header.splitlines() if not line.startswith("#")))
    builder.cdef('extern "Python+C" {\n' + CALLBACKS + "}")
    # The file that cffi writes warns under -Wextra; our own sources must not.
    ignored = (
        "unused-parameter",
        "missing-field-initializers",
        "cast-function-type",
        "unused-function",
    )
    quiet = "".join(f'#pragma GCC diagnostic ignored "-W{warning}"\n' for warning in ignored)
    builder.set_source(
        "minitensor.backend._core",
        quiet + '#include "types.h"\n',
        sources=sources,
        depends=headers,
        include_dirs=[CORE.relative_to(root).as_posix()],
        libraries=["m", "pthread"],
        extra_compile_args=compile_args,
        extra_link_args=link_args,
        py_limited_api=True,
    )
    return builder


ffibuilder = make()
