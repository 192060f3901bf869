#!/usr/bin/env bash
# What a reviewer should not have to say: formatting, and a few words and slips that a compiler lets through. Rules about the
# architecture (imports, file sizes) are tests, in Tests/TidyTests.
set -uo pipefail
cd "$(dirname "$0")/.."
. scripts/progress.sh

failures=0
scripts/toolchain.sh || exit 1

# check WHAT COMMAND...: a command that prints what is wrong; printing nothing is passing.
check() {
    local what=$1 found
    shift
    found=$("$@" 2>&1)
    [ -z "$found" ] && return
    failures=$((failures + 1))
    printf '✘ %s\n%s\n' "$what" "$(printf '%s\n' "$found" | head -n 40)"
}

# tracked PATTERN...: the project's own files, committed or about to be.
tracked() { git ls-files --cached --others --exclude-standard -- "$@"; }

# search REGEX PATTERN...: lines that match, in the files that fit the patterns.
search() {
    local regex=$1
    shift
    tracked "$@" | xargs -r -d '\n' grep -d skip -nIHE -- "$regex"
}

syntax_of_scripts() {
    local file
    tracked 'scripts/*.sh' 'bench/*.sh' .ci/run | while read -r file; do bash -n "$file"; done
    # shellcheck says more, where it is installed.
    command -v shellcheck >/dev/null 2>&1 || return 0
    tracked 'scripts/*.sh' 'bench/*.sh' .ci/run | xargs -r -d '\n' shellcheck --external-sources --severity=warning
}

syntax_of_python() {
    tracked '*.py' | xargs -r -d '\n' python3 -c '
import ast, sys
for path in sys.argv[1:]:
    try:
        ast.parse(open(path).read(), path)
    except SyntaxError as error:
        print(f"{path}:{error.lineno}: {error.msg}")'
}

executable_scripts() {
    local file
    tracked 'scripts/*.sh' 'bench/*.sh' .ci/run | while read -r file; do
        # A script with an interpreter line is run; one without is sourced.
        if head -c 2 "$file" | grep -q '#!'; then
            [ -x "$file" ] || printf '%s: not executable\n' "$file"
        fi
    done
}

check 'swift format (make format mends most of it)' \
    swift format lint --strict --parallel --recursive Package.swift Sources Tests Fuzz/Package.swift Fuzz/Sources/DNSFuzz \
    Benchmarks/Package.swift Benchmarks/Benchmarks
check 'words that crash, block or hide' search \
    '\b(try!|as!)|\bfatalError\(|\bThread\.sleep|\busleep\(|\b(TODO|FIXME|XXX)\b' 'Sources/*.swift'
check 'white space at the end of a line' search '[[:blank:]]+$' \
    '*.swift' '*.sh' '*.py' '*.md' '*.yaml' '*.yml' Makefile Dockerfile .ci/run
check 'tabs' search $'\t' '*.swift' '*.py' '*.sh' '*.yaml' '*.yml'
check 'merge markers' search '^(<<<<<<<|>>>>>>>) ' '*'
check 'shell scripts' syntax_of_scripts
check 'Python' syntax_of_python
check 'scripts that cannot be run' executable_scripts

if [ $failures -ne 0 ]; then
    say "lint: $failures checks failed"
    exit 1
fi
say 'lint: clean'
