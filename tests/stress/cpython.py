"""Run CPython's own tests of `multiprocessing` on ours; what fails, on the standard package, too.

    python tests/stress/cpython.py [fork] [spawn] [forkserver] [-k PART]

The tests are those of the running interpreter. They are copied to a temporary folder, the name
`multiprocessing` becomes `minitensor.multiprocessing` in one of two copies, and nothing of them
stays. Some of the tests start interpreters that ignore PYTHONPATH, so the run happens in a
temporary environment that knows the paths, and in a folder where the packages lie too. The test
classes run side by side, with -k those that have the part in their name; a test that fails runs
once more, alone, for ours and for the standard package. The exit code is 1 when a test that passes
for the standard package fails for ours.
"""

import argparse
import os
import re
import site
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("_test_multiprocessing.py", "mp_preload.py", "mp_fork_bomb.py")
TIMEOUT = 1800
# A module's name, not a part of another name or of a path; sentences go on with a word.
NAME = re.compile(r"(?<![\w./])multiprocessing(?=[.)\s,\]'\"]|$)")


def substitute(line: str) -> str:
    if line.lstrip().startswith("#") or "unclosed running multiprocessing" in line:
        return line
    return NAME.sub("minitensor.multiprocessing", line)


def copy_tests(folder: Path, package: str, ours: bool) -> None:
    """Copy the interpreter's tests as `package`, for the standard package or for ours."""
    import test

    (folder / package).mkdir()
    (folder / package / "__init__.py").touch()
    for name in COPIED:
        text = (Path(test.__path__[0]) / name).read_text()
        # Threads end with their tasks: before 3.13 a ThreadPool that is terminated may wait for
        # five minutes.
        text = text.replace(
            "[support.LONG_TIMEOUT for",
            "[1 if self.TYPE == 'threads' else support.LONG_TIMEOUT for",
        )
        text = re.sub(
            r"(?<![\w.])test\.(_test_multiproc|test_multiproc|mp_preload)", rf"{package}.\1", text
        )
        if ours:
            text = "\n".join(map(substitute, text.split("\n")))
        (folder / package / name).write_text(text)
    for method in ("fork", "spawn", "forkserver"):
        (folder / package / f"test_multiprocessing_{method}.py").write_text(
            f"import {package}._test_multiprocessing as tests\n"
            f"tests.install_tests_in_module_dict(globals(), {method!r})\n"
        )


def make_environment(folder: Path) -> Path:
    """Make an environment that finds the copies, our package and what is installed here."""
    venv.create(folder / "environment", symlinks=True)
    python = folder / "environment" / "bin" / "python"
    program = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = subprocess.run(
        [python, "-c", program], capture_output=True, text=True, check=True
    ).stdout.strip()
    (Path(packages) / "paths.pth").write_text(
        "\n".join(map(str, [folder, ROOT, *site.getsitepackages()]))
    )
    return python


def make_folder(folder: Path) -> Path:
    """Make a working folder from which everything can be imported without any path."""
    folder.mkdir()
    for source in [ROOT, folder.parent, *map(Path, site.getsitepackages())]:
        for path in source.glob("*"):
            if not (folder / path.name).exists() and (
                path.suffix == ".so" or (path / "__init__.py").exists()
            ):
                (folder / path.name).symlink_to(path)
    return folder


def unittest(python: Path, folder: Path, name: str) -> tuple[int, list[str], str]:
    """Run one class or one test; return the count, the names that failed, and the output."""
    done = subprocess.run(
        [python, "-m", "unittest", "-v", name],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    count = re.search(r"^Ran (\d+) tests?", done.stdout, re.M)
    module, failed = name.rsplit(".", 1 + (name.rpartition(".")[2].startswith("test_")))[0], []
    for test, where in re.findall(r"^(?:ERROR|FAIL): (\w+) \(([\w.]+)\)", done.stdout, re.M):
        # 3.11 and later name the method twice
        parts = [part for part in where.split(".") if part != test]
        # else setUpClass or the like
        failed.append(f"{module}.{parts[-1]}" + (f".{test}" if test.startswith("test") else ""))
    if (done.returncode or count is None) and not failed:
        failed = [name]
    return int(count[1]) if count else 0, sorted(set(failed)), done.stdout


def run(python: Path, folder: Path, method: str, part: str) -> list[str]:
    """Run the tests of one start method; return those that fail on ours alone."""
    module = f"our_tests.test_multiprocessing_{method}"
    listing = (
        f"import unittest, {module} as m; "
        "print(*(n for n, c in vars(m).items() "
        "if isinstance(c, type) and issubclass(c, unittest.TestCase)))"
    )
    names = subprocess.run(
        [python, "-c", listing], cwd=folder, capture_output=True, text=True, check=True
    ).stdout.split()
    names = [name for name in names if part in name]
    count, failed = 0, []
    with ThreadPoolExecutor(6 * (os.cpu_count() or 1)) as runners:  # they mostly wait
        for n, wrong, _ in runners.map(
            lambda name: unittest(python, folder, f"{module}.{name}"), names
        ):
            count += n
            failed += wrong
    regressions = []
    for name in failed:
        _, again, output = unittest(python, folder, name)
        standard = (
            unittest(python, folder, name.replace("our_tests", "standard_tests"))[1]
            if again
            else []
        )
        print(
            f"    {name}: {'fails' if again else 'passes'} alone"
            + (", fails for the standard package" if standard else "")
        )
        if again and not standard:
            regressions.append(name)
            print(output[-3000:])
    print(
        f"{method}: {count} tests, {len(failed)} failed in the crowd, {len(regressions)} for ours "
        f"only",
        flush=True,
    )
    return regressions


def main(methods: Iterable[str], part: str) -> int:
    print(
        f"CPython {sys.version.split()[0]}: test._test_multiprocessing on "
        f"minitensor.multiprocessing",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        for package in ("standard_tests", "our_tests"):
            copy_tests(folder, package, ours=package == "our_tests")
        python, place = make_environment(folder), make_folder(folder / "place")
        return int(any([run(python, place, method, part) for method in methods]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("methods", nargs="*", default=("fork", "spawn", "forkserver"))
    parser.add_argument("-k", default="", metavar="PART")
    given = parser.parse_args()
    sys.exit(main(given.methods, given.k))
