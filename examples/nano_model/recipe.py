from pathlib import Path
HERE = Path(__file__).parent
PHRASES = HERE / "phrases.yaml"
POLICIES = HERE.parent / "backend" / "src" / "data" / "policies.json"
