"""A client of the Remote Execution API that shares nothing with ours: Python, on the stubs that BuildGrid generated.

    compile.py HOST:PORT SOURCE OBJECT

Compiles SOURCE, a C file in the current folder, as a hermetic action: the input root holds gcc's programs, the libraries
that these need, the source and all headers, each at its own path, and nothing else. Writes the object, and
tells on one line whether the server knew the result ("cached" or "run").
"""
import hashlib
import os
import subprocess
import sys
import uuid

import grpc
from buildgrid.common.protos.build.bazel.remote.execution.v2 import remote_execution_pb2 as api
from buildgrid.common.protos.build.bazel.remote.execution.v2 import remote_execution_pb2_grpc as services
from buildgrid.common.protos.google.bytestream import bytestream_pb2 as stream
from buildgrid.common.protos.google.bytestream import bytestream_pb2_grpc as stream_services

BATCH = 1 << 20
PIECE = 512 << 10


def said(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class Root:
    """A file tree, from files and links of this machine."""

    def __init__(self, blobs):
        self.blobs = blobs
        self.top = {}

    def folder(self, path):
        at = self.top
        for name in filter(None, path.split("/")):
            at = at.setdefault(name, {})
        return at

    def put(self, path, entry):
        self.folder(os.path.dirname(path))[os.path.basename(path)] = entry

    def add(self, path):
        """What a program finds there, with all links on the way: folders that are links, too."""
        path = os.path.abspath(path)
        parts = path.strip("/").split("/")
        for count in range(1, len(parts) + 1):
            part = "/" + "/".join(parts[:count])
            if os.path.islink(part):
                target = os.readlink(part)
                self.put(part, target)
                self.add(os.path.join(os.path.dirname(part), target, *parts[count:]))
                return
        with open(path, "rb") as file:
            self.put(path, (self.blobs.add(file.read()), os.access(path, os.X_OK)))

    def pack(self, folder=None):
        message = api.Directory()
        for name, entry in sorted((self.top if folder is None else folder).items()):
            if isinstance(entry, dict):
                message.directories.add(name=name, digest=self.pack(entry))
            elif isinstance(entry, str):
                message.symlinks.add(name=name, target=entry)
            else:
                message.files.add(name=name, digest=entry[0], is_executable=entry[1])
        return self.blobs.add(message.SerializeToString(deterministic=True))


class Blobs:
    """What the server is to have, by digest."""

    def __init__(self):
        self.contents = {}

    def add(self, content):
        digest = api.Digest(hash=hashlib.sha256(content).hexdigest(), size_bytes=len(content))
        self.contents[digest.hash] = content
        return digest

    def send(self, channel):
        storage = services.ContentAddressableStorageStub(channel)
        wanted = api.FindMissingBlobsRequest()
        for name, content in self.contents.items():
            wanted.blob_digests.add(hash=name, size_bytes=len(content))
        batch = api.BatchUpdateBlobsRequest()
        for digest in storage.FindMissingBlobs(wanted).missing_blob_digests:
            content = self.contents[digest.hash]
            if len(content) > BATCH:
                written = stream_services.ByteStreamStub(channel).Write(pieces(digest, content))
                assert written.committed_size == len(content), written
                continue
            if sum(len(one.data) for one in batch.requests) + len(content) > BATCH:
                update(storage, batch)
                batch = api.BatchUpdateBlobsRequest()
            batch.requests.add(digest=digest, data=content)
        update(storage, batch)


def update(storage, batch):
    for response in storage.BatchUpdateBlobs(batch).responses:
        assert response.status.code == 0, response


def pieces(digest, content):
    name = f"uploads/{uuid.uuid4()}/blobs/{digest.hash}/{digest.size_bytes}"
    for at in range(0, len(content), PIECE):
        data = content[at : at + PIECE]
        yield stream.WriteRequest(
            resource_name=name, write_offset=at, data=data, finish_write=at + len(data) == len(content)
        )


def libraries(program):
    """Paths in what ldd says, the loader's included."""
    return [word for word in said("ldd", program).split() if word.startswith("/")]


def hermetic(source, output, blobs):
    """The digest of an action that compiles `source`."""
    root = Root(blobs)
    gcc = os.path.realpath("/usr/bin/gcc")
    programs = [gcc, said(gcc, "-print-prog-name=cc1").strip(), "/usr/bin/as"]
    for program in programs:
        for path in [program, *libraries(program)]:
            root.add(path)
    words = [gcc, "-O2", "-g", "-c", source, "-o", output]
    rule = said(gcc, "-O2", "-M", source).replace("\\\n", " ")
    for path in rule.split(":", 1)[1].split():
        root.add(path)
    command = api.Command(
        arguments=words,
        environment_variables=[api.Command.EnvironmentVariable(name="PATH", value="/usr/bin")],
        output_paths=[output],
        working_directory=os.getcwd().strip("/"),
    )
    action = api.Action(
        command_digest=blobs.add(command.SerializeToString(deterministic=True)),
        input_root_digest=root.pack(),
        # The server shall put nothing of its own beside the root.
        platform=api.Platform(properties=[api.Platform.Property(name="InputRootAbsolutePath", value="/")]),
    )
    return blobs.add(action.SerializeToString(deterministic=True))


def run(channel, action):
    request = api.ExecuteRequest(action_digest=action)
    *_, last = services.ExecutionStub(channel).Execute(request)
    assert last.done, last
    response = api.ExecuteResponse()
    assert last.response.Unpack(response), last
    assert response.status.code == 0, response.status
    return response


def fetch(channel, file):
    if file.contents:
        return file.contents
    name = f"blobs/{file.digest.hash}/{file.digest.size_bytes}"
    answers = stream_services.ByteStreamStub(channel).Read(stream.ReadRequest(resource_name=name))
    return b"".join(answer.data for answer in answers)


def main():
    address, source, output = sys.argv[1:]
    with grpc.insecure_channel(address) as channel:
        offered = services.CapabilitiesStub(channel).GetCapabilities(api.GetCapabilitiesRequest())
        assert offered.execution_capabilities.exec_enabled, offered
        blobs = Blobs()
        action = hermetic(source, output, blobs)
        blobs.send(channel)
        response = run(channel, action)
        result = response.result
        sys.stderr.buffer.write(result.stderr_raw)
        if result.exit_code == 0:
            (file,) = result.output_files
            assert file.path == output, file
            content = fetch(channel, file)
            assert hashlib.sha256(content).hexdigest() == file.digest.hash
            with open(output, "wb") as target:
                target.write(content)
            kept = services.ActionCacheStub(channel).GetActionResult(api.GetActionResultRequest(action_digest=action))
            assert kept.output_files[0].digest == file.digest, kept
        print("cached" if response.cached_result else "run")
        sys.exit(result.exit_code)


main()
