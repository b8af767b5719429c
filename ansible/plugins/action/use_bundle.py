"""Action ``use_bundle``: bring an offline bundle to a host, once, and verify it there before anything is installed.

Files go over in tars of bounded size: one transfer a file would take longer than the bytes, and one tar of all would need the room of a
second copy on both sides. Only what the host lacks is sent.
"""

from __future__ import annotations

import json
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.loader import lookup_loader

from ansible.plugins.action import ActionBase

sys.path.append(str(Path(__file__).resolve().parents[1] / "module_utils"))
from screen_lines import tell  # Ansible keeps plugins out of packages

SPEC = {
    "bundle": {"type": "path", "required": True},
    "directory": {"type": "path", "required": True},
    "locks": {"type": "path", "required": True},
    "wants": {"type": "list", "elements": "str", "required": True},
    "pythons": {"type": "list", "elements": "str", "required": True},
    "machine": {"type": "str", "required": True},
}
BATCH = 256 * 2**20  # bytes in one tar, or one file where that is larger
AGAIN = (
    "Make it on the controller: ansible-playbook -i INVENTORY ansible/bundle.yml -e bundle_directory={bundle}"
)
REMEDY = """They were copied from {bundle}/wheels. Nothing was installed or stopped.
{again}
It fetches anew what is corrupt there. If nothing is, look at the host's disk and the connection."""
Files = dict[str, dict[str, Any]]


def read_manifest(bundle: Path, again: str) -> dict[str, Any]:
    """Return the manifest of a bundle, or say why there is none."""
    try:
        manifest: dict[str, Any] = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AnsibleActionFail(
            f"host_bundle: there is no bundle at {bundle} on the controller ({error}). {again}"
        ) from error
    if not manifest:
        raise AnsibleActionFail(f"host_bundle: the bundle at {bundle} was not finished. {again}")
    return manifest


def faults(
    manifest: dict[str, Any], ids: dict[str, str], wants: list[str], pythons: list[str], machine: str
) -> list[str]:
    """Return why a bundle does not serve a host of an architecture that wants these locks and has these Pythons."""
    names = [want.partition("=")[0] for want in wants]
    found = [
        f"it holds nothing for the lock {name}"
        for name in names
        if not {name, f"{name}-cpu", f"{name}-index"} & set(manifest["locks"])
    ]
    found += [
        f"the lock {name} has changed since it was made"
        for name, made_for in manifest["locks"].items()
        if ids.get(name) != made_for and not (name.startswith("vllm-own-") and name not in names)
    ]
    if manifest["python"] not in pythons:
        found.append(
            f"it is for Python {manifest['python']}, and the host has headers for {', '.join(pythons)}"
            " (install that Python there, or add -e bundle_python=VERSION when it is made)"
        )
    if not manifest["platform"].endswith(f"_{machine}"):
        found.append(
            f"it is for {manifest['platform']}, and the host is {machine} (-e bundle_machine={machine} when it is made)"
        )
    return found


def batches(files: Files) -> list[list[str]]:
    """Return the names of ``files`` in groups of bounded size."""
    groups: list[list[str]] = []
    room = 0
    for name, about in sorted(files.items(), key=lambda item: -item[1]["size"]):
        room -= about["size"]
        if room < 0 or not groups:
            groups.append([])
            room = BATCH - about["size"]
        groups[-1].append(name)
    return groups


class ActionModule(ActionBase):
    """Check, copy and verify; the result is what the other tasks need to install from it."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the directory of the wheels on the host, the Python and the locks, and the files of the model if the bundle knows one."""
        super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(SPEC)
        bundle, directory = Path(args["bundle"]), args["directory"]
        again = AGAIN.format(bundle=bundle)
        manifest = read_manifest(bundle, again)
        lookup = lookup_loader.get("content_id", loader=self._loader, templar=self._templar)
        own = dict(want.split("=", 1) for want in args["wants"] if "=" in want)  # a lock of the user's own
        paths = {name: Path(own.get(name, f"{args['locks']}/{name}.txt")) for name in manifest["locks"]}
        ids = {name: lookup.run([str(path)])[0] for name, path in paths.items() if path.exists()}
        if found := faults(manifest, ids, args["wants"], args["pythons"], args["machine"]):
            raise AnsibleActionFail(
                f"The bundle at {bundle} does not serve this host: {'; '.join(found)}. {again}"
            )
        common = {"directory": f"{directory}/wheels", "files": manifest["wheels"], "exact": True}
        common |= {"remember": f"{directory}/verified.json"}
        reply = self.verify(common, task_vars)
        result = {key: manifest.get(key) for key in ("python", "model")} | {"locks": list(manifest["locks"])}
        result |= {"directory": common["directory"], "changed": bool(reply["changed"] or reply["wrong"])}
        absent = {name: manifest["wheels"][name] for name in reply["wrong"]}
        if absent and not self._task.check_mode:
            self.send(
                bundle / "wheels",
                absent,
                common | {"remedy": REMEDY.format(bundle=bundle, again=again)},
                task_vars,
            )
        return result

    def verify(self, arguments: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        """Run the module ``verify_files`` on the host."""
        reply: dict[str, Any] = self._execute_module("verify_files", arguments, task_vars=task_vars)
        if reply.get("failed"):
            raise AnsibleActionFail(reply["msg"])
        return reply

    def send(
        self, source: Path, files: Files, arguments: dict[str, Any], task_vars: dict[str, Any] | None
    ) -> None:
        """Copy ``files`` to the host, and verify them there after the last."""
        total, sent, start = sum(about["size"] for about in files.values()), 0, time.monotonic()
        tell(f"bundle: copying {len(files)} wheels, {total / 1e6:.0f} MB", task_vars)
        groups = batches(files)
        remote = f"{self._make_tmp_path()}/wheels.tar"
        with tempfile.TemporaryDirectory() as scratch:
            local = Path(scratch) / "wheels.tar"
            for number, names in enumerate(groups, 1):
                with tarfile.open(local, "w", dereference=True) as tar:
                    for name in names:
                        if (source / name).exists():  # the host says what is missing
                            tar.add(source / name, name)
                self._transfer_file(str(local), remote)
                self._fixup_perms2([self._connection._shell.tmpdir, remote])
                last = arguments if number == len(groups) else arguments | {"remedy": None}
                self.verify(last | {"archive": remote}, task_vars)
                sent += sum(files[name]["size"] for name in names)
                tell(f"bundle: {sent / 1e6:.0f} MB are there ({time.monotonic() - start:.0f} s)", task_vars)
