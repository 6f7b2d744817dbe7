"""Models as text, for onnx.parser."""


def text(inputs: str, outputs: str, body: str, constants: str = "", rest: str = "") -> str:
    """A model of opset 18, with functions of the domain local behind it."""
    return f"""<ir_version: 10, opset_import: ["" : 18, "local" : 1]>
    g ({inputs}) => ({outputs}) <{constants}> {{ {body} }} {rest}"""
