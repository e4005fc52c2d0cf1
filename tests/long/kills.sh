# The tests of runs that are killed and of changed bytes, in full: 200 kills, every byte.
set -eu
KILLS=200 sh tests/cli/resume.sh
for t in build/*/tests/unit/test_checkpoint; do TEST_LONG=1 "$t"; done
