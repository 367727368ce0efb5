"""What a config imports."""

from mmengine.config import Config


def add_imports(cfg: Config, *modules: str) -> None:
    """Let a config import modules beside its own.

    Args:
        cfg (Config): The config, which is changed. MMEngine takes a list of modules
            there, or the name of one.
        *modules (str): Are imported last.
    """
    imports = cfg.get('custom_imports', {}).get('imports', [])
    imports = [imports] if isinstance(imports, str) else imports
    cfg.custom_imports = dict(imports=[*imports, *modules])
