"""The command that serves the champion."""

import json

import click

from flows.cli.commands import Options, command


@click.command()
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help="Port to listen on; serve.port if not given.",
)
@click.option("--upstream", metavar="URL", help="A server of the exported model answers instead.")
@click.option("--log", is_flag=True, help="Log exchanges, redacted, for the drift check.")
@command
def serve(options: Options, port: int | None, upstream: str | None, log: bool) -> None:
    """Serve the champion as an OpenAI-compatible endpoint, with a page to ask in at /.

    Puts passages of the documents before a question where the verdict says so, and names them as
    sources. A new champion takes over between two requests. Ctrl-C ends. With TUNELOOP_SERVE_KEY in
    the environment every request has to bring that key; section [serve] has the rest.
    """
    more = [f"serve.port={port}"] if port else []
    more += [f"serve.upstream={json.dumps(upstream)}"] if upstream else []
    more += ["serve.log=true"] if log else []
    settings = options.overriding(more).prepared()
    from flows.gateway.serve import serve as start

    start(settings, lambda url: options.show({"url": url}, f"serve        {url}/ and {url}/v1"))
