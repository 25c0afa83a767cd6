"""The command that lists and shows the prompts."""

from typing import Annotated, Any

import typer

from trsllava.cli.options import JsonOption
from trsllava.cli.show import as_json, data


def prompts(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Show this one: a shipped prompt, or a file."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """List the prompts that ship, or show one."""
    from trsllava.captioning.prompts import Prompt, load_prompt, shipped_prompts

    def facts(prompt: Prompt) -> dict[str, Any]:
        return {
            **prompt.identity(),
            "output": prompt.output,
            "forbids": list(prompt.forbids),
            "language": prompt.language,
            "text": prompt.text,
        }

    if name is not None:
        prompt = load_prompt(name)
        if json:
            as_json(facts(prompt))
        else:
            for line in prompt.text.splitlines():
                data(line)
    elif json:
        as_json({"prompts": [facts(prompt) for prompt in shipped_prompts()]})
    else:
        for prompt in shipped_prompts():
            about = f"{prompt.name:8} v{prompt.version}  {prompt.output:7} {prompt.sha256[:12]}"
            data(f"{about}  {prompt.text.splitlines()[0]}")
