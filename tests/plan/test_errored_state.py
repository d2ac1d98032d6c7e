"""State that the backend refuses, and who pushes it once it is accepted."""

import http.server
import os
import subprocess
import threading

import pytest
from repository_files import REPOSITORY

from ops.deploy.stack_terraform import StackTerraform
from ops.errors import OpsError

pytestmark = pytest.mark.plan

CONFIGURATION = """
terraform {{
  backend "http" {{ address = "http://127.0.0.1:{port}/" }}
}}
resource "terraform_data" "keys" {{ input = "value of a key" }}
"""
BLOCK = """\
terraform -chdir=cdktf.out/stacks/trial-us-west-2 state push errored.tfstate
rm cdktf.out/stacks/trial-us-west-2/errored.tfstate
"""


class Backend(http.server.ThreadingHTTPServer):
    """A backend of Terraform's type `http`, to which a session may or may not write."""

    state, session_expired = b"", True


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self._respond(200 if self.server.state else 404, self.server.state)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.server.session_expired:
            self.server.state = body
        self._respond(403 if self.server.session_expired else 200)

    def _respond(self, status, body=b""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def backend():
    with Backend(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_deployment_writes_it_before_it_plans_anything(backend, tmp_path):
    folder = tmp_path / "trial-us-west-2"
    folder.mkdir()
    (folder / "main.tf").write_text(CONFIGURATION.format(port=backend.server_port))
    file = tmp_path / "plan"
    stack = StackTerraform(folder, os.environ)
    stack.init()

    # GIVEN an apply that has created something, and may no longer write the state
    assert stack.plan(file)["resource_changes"]
    with pytest.raises(OpsError, match="Failed to save state"):
        stack.apply_plan(file, lambda _: None, lambda _: None)

    # WHEN the stack is planned again, to roll it back or to go on, THEN it is refused
    with pytest.raises(OpsError, match=r"errored\.tfstate and still cannot be written") as refused:
        stack.plan(file)
    assert "sign in again" in refused.value.next_step

    # AND with a new session nothing is created again
    backend.session_expired = False
    assert stack.plan(file) == {}
    assert b"value of a key" in backend.state
    assert not (folder / "errored.tfstate").exists()


def test_state_that_could_not_be_written_is_pushed_and_nothing_is_created_again(backend, tmp_path):
    folder = tmp_path / "cdktf.out" / "stacks" / "trial-us-west-2"
    folder.mkdir(parents=True)
    (folder / "main.tf").write_text(CONFIGURATION.format(port=backend.server_port))

    def run(*words):
        return subprocess.run(
            words, cwd=tmp_path, env=os.environ | {"TF_CLI_ARGS": "-no-color"},
            capture_output=True, text=True,
        )  # fmt: skip

    def terraform(*words):
        return run("terraform", "-chdir=cdktf.out/stacks/trial-us-west-2", *words)

    # GIVEN an apply that has created something, and may no longer write the state
    assert terraform("init").returncode == 0
    applied = terraform("apply", "-auto-approve")
    assert applied.returncode == 1
    assert "Failed to save state" in applied.stderr
    # AND values of keys that are in the file
    assert "value of a key" in (folder / "errored.tfstate").read_text()

    # WHEN the runbook's commands run with a new session
    backend.session_expired = False
    assert BLOCK in (REPOSITORY / "docs" / "how-to" / "deploy-changes.md").read_text()
    pushed = run("bash", "-e", "-c", BLOCK)

    # THEN the next plan finds what was created, and the file is gone
    assert pushed.returncode == 0, pushed.stderr
    assert terraform("plan", "-detailed-exitcode").returncode == 0
    assert not (folder / "errored.tfstate").exists()
