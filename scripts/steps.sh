#!/usr/bin/env bash
# For scripts that do one thing after another: `step NAME COMMAND…` runs a command, says how long it took and goes on
# when it fails, leaving its exit code in `step_code`; `closing` prints a line for each step and answers whether all went well. Sourced, not run.
#
# AIM_STEPS_FILE gathers the lines of scripts that call each other, for one closing table at the end.

step_lines=() step_failures=0 step_code=0

step() { # name, command…
  local name=$1 start=$SECONDS outcome=ok
  shift
  printf '\n==> %s\n' "$name"
  # In a subshell of its own, and no part of a condition, so that `set -e` holds inside.
  set +e
  (set -e; "$@")
  step_code=$?
  set -e
  ((step_code == 0)) || { outcome="FAILED ($step_code)"; step_failures=$((step_failures + 1)); }
  note "$name" "$((SECONDS - start))" "$outcome"
  printf '<== %s: %s\n' "$name" "$outcome"
}

# A step that cannot run because an earlier one failed; it counts as a failure.
left_out() { # name, why
  step_failures=$((step_failures + 1))
  note "$1" 0 "LEFT OUT: $2"
}

note() { # name, seconds, outcome
  local line
  line=$(printf '%3d:%02d  %-42s %s' $(($2 / 60)) $(($2 % 60)) "$1" "$3")
  step_lines+=("$line")
  [[ -z ${AIM_STEPS_FILE:-} ]] || printf '%s\n' "$line" >>"$AIM_STEPS_FILE"
}

closing() { # title
  printf '\n%s\n' "$1"
  printf '  %s\n' "${step_lines[@]}"
  if ((step_failures == 0)); then
    printf '  all went well\n'
  else
    printf '  %d failed\n' "$step_failures"
    return 1
  fi
}
