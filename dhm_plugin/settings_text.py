"""The config text in a checkpoint, without what would run code."""

import ast

# MMEngine runs the files of the one, and imports the modules of the other.
_ACTING = ('_base_', 'custom_imports')


def literal_settings(text: object) -> str | None:
    """Reduce a config's text to its settings.

    A config that MMEngine has written is assignments of numbers, strings, lists, tuples
    and ``dict(...)``. Nothing else can stay: MMEngine runs the text as Python.

    Args:
        text (object): The text.

    Returns:
        str | None: The same assignments, without ``_base_`` and ``custom_imports``. None
        if there is anything in it but such assignments.

    Example:
        >>> literal_settings("lr = 0.1; custom_imports = dict(imports=['os'])")
        'lr = 0.1'
        >>> literal_settings("__import__('os').system('true')")
    """
    if not isinstance(text, str):
        return None
    try:
        lines = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    kept = []
    for line in lines:
        if not isinstance(line, ast.Assign) or not _is_literal(line.value):
            return None
        if any(not isinstance(target, ast.Name) for target in line.targets):
            return None
        if all(target.id not in _ACTING for target in line.targets):
            kept.append(ast.unparse(line))
    return '\n'.join(kept)


def _is_literal(node: ast.expr) -> bool:
    match node:
        case ast.Constant():
            return True
        case ast.List(elts=inner) | ast.Tuple(elts=inner) | ast.Set(elts=inner):
            return all(map(_is_literal, inner))
        case ast.Dict(keys=keys, values=values):
            return all(key is not None and _is_literal(key) for key in keys) and all(
                map(_is_literal, values)
            )
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant()):
            return True
        case ast.Call(func=ast.Name(id='dict'), args=[], keywords=keywords):
            return all(word.arg and _is_literal(word.value) for word in keywords)
    return False
