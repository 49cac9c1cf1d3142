import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { type Case, denied, has, same, trial } from "./expect.js"

/** Real time, whatever clock the case is run with. */
const wait = (millis: number) => Clock.make().sleep(Duration.millis(millis))

const none = { stdout: 0, stderr: 0 }

export const commands: ReadonlyArray<Case> = [
  trial("a command's outputs and its exit code are told apart", ({ sandbox }) =>
    Effect.gen(function* () {
      const command = "echo out; echo err >&2; exit 3"
      yield* same("the result", yield* sandbox.exec({ command }), {
        stdout: "out\n",
        stderr: "err\n",
        exitCode: 3,
        dropped: none
      })
      const silent = { stdout: "", stderr: "", exitCode: 0, dropped: none }
      yield* same("the result of `true`", yield* sandbox.exec({ command: "true" }), silent)
      yield* same("the exit code of `false`", (yield* sandbox.exec({ command: "false" })).exitCode, 1)
    })
  ),

  trial("what is no command ends with 127, and bad syntax not with 0", ({ sandbox }) =>
    Effect.gen(function* () {
      const missing = yield* sandbox.exec({ command: "no-such-command-anywhere" })
      yield* same("the exit code", missing.exitCode, 127)
      yield* has("what it says", missing.stderr, "no-such-command-anywhere")
      yield* same("whether it succeeds", (yield* sandbox.exec({ command: "if then" })).exitCode !== 0, true)
    })
  ),

  trial("a command starts in the root, or in the folder that it was given", ({ sandbox, sh, write }) =>
    Effect.gen(function* () {
      yield* write("a/b/f", "deep")
      yield* write("f", "top")
      yield* same("f of the root", yield* sh("cat f"), "top")
      yield* same("f of a/b", yield* sh("cat f", { cwd: "a/b" }), "deep")
      yield* same("f of an absolute cwd", yield* sh("cat f", { cwd: `${sandbox.root}/a/b` }), "deep")
      yield* denied("a command from nowhere", sandbox.exec({ command: "true", cwd: "nowhere" }))
      yield* denied("a command from a file", sandbox.exec({ command: "true", cwd: "f" }))
    })
  ),

  trial("variables are added for one command, as they are", ({ sh }) =>
    Effect.gen(function* () {
      const value = "a b 'c' \"d\" $HOME é\nnext"
      yield* same("the variable", yield* sh('printf %s "$GIVEN"', { env: { GIVEN: value } }), value)
      yield* same("what a child gets", yield* sh("bash -c 'printf %s \"$GIVEN\"'", { env: { GIVEN: "x" } }), "x")
      yield* same("the next command's", yield* sh('printf %s "[$GIVEN]"'), "[]")
    })
  ),

  trial("each command starts anew: no variable, folder, function or option outlives it", ({ sh }) =>
    Effect.gen(function* () {
      yield* sh("mkdir d; cd d; KEPT=1; export KEPT; kept() { echo yes; }; alias kept=true; set -u")
      yield* same(
        "what is left",
        yield* sh('printf %s "[$KEPT]"; pwd | grep -c "/d$"; kept 2>/dev/null; true'),
        "[]0\n"
      )
    })
  ),

  trial("a variable of no name, or with NUL, is refused before anything runs", ({ sandbox }) =>
    Effect.gen(function* () {
      const refuses = (what: string, command: string, env: Record<string, string>) =>
        denied(what, sandbox.exec({ command: `touch ran; ${command}`, env }))
      yield* refuses("an empty name", "true", { "": "x" })
      yield* refuses("a name with =", "true", { "a=b": "x" })
      yield* refuses("a value with NUL", "true", { A: "x\0y" })
      yield* refuses("a command with NUL", "echo \0", {})
      yield* same("what ran", yield* sandbox.list("."), [])
    })
  ),

  trial("standard input is empty", ({ sh }) =>
    Effect.gen(function* () {
      yield* same("what is read", yield* sh("cat; echo end", { timeout: 10_000 }), "end\n")
    })
  ),

  trial("pipes, redirections, loops and substitutions work", ({ read, sh }) =>
    Effect.gen(function* () {
      yield* same(
        "a pipe",
        yield* sh("printf 'b\\na\\nb\\n' | sort | uniq -c | tr -s ' ' | sed 's/^ //'"),
        "1 a\n2 b\n"
      )
      yield* same("a loop", yield* sh('for i in 1 2 3; do echo "$((i * i))"; done > f; wc -l < f | tr -d " "'), "3\n")
      yield* same("the file", yield* read("f"), "1\n4\n9\n")
      yield* same("a substitution", yield* sh('echo "[$(cat f | head -n 1)]"'), "[1]\n")
      yield* same("a here-document", yield* sh("cat <<'EOF'\n  indented $HOME\nEOF"), "  indented $HOME\n")
    })
  ),

  trial("files are the same for commands and for reads and writes", ({ read, sandbox, sh, write }) =>
    Effect.gen(function* () {
      yield* write("a/f", "written\n")
      yield* same("what a command reads", yield* sh("cat a/f"), "written\n")
      yield* sh("echo appended >> a/f; mkdir -p b/c; mv a/f b/c/g")
      yield* same("what is read", yield* read("b/c/g"), "written\nappended\n")
      yield* denied("the read of what was moved", sandbox.read("a/f"))
      yield* sh("rm -r b")
      yield* denied("the stat of what was removed", sandbox.stat("b"))
      yield* sh("printf /wCA | base64 -d > bin")
      yield* same("bytes", [...(yield* sandbox.read("bin"))], [255, 0, 128])
    })
  ),

  trial("a command that takes too long ends with 124, and nothing of it happens afterwards", ({ sandbox, sh }) =>
    Effect.gen(function* () {
      const late = yield* sandbox.exec({ command: "echo early; sleep 1; echo late; touch late", timeout: 100 })
      yield* same("the exit code", late.exitCode, 124)
      yield* same("what it printed late", late.stdout.includes("late"), false)
      yield* wait(1_300)
      yield* same("what it left", yield* sandbox.list("."), [])
      yield* same("one that is in time", yield* sh("sleep 0.01; echo done", { timeout: 60_000 }), "done\n")
    })
  ),

  trial("a command that never lets go is ended by its timeout", ({ sandbox }) =>
    Effect.gen(function* () {
      for (const command of [
        "while true; do echo y; done",
        "while :; do :; done",
        "i=0; while true; do i=$((i+1)); done"
      ]) {
        const { exitCode } = yield* sandbox.exec({ command, timeout: 200, maxOutput: 1000 })
        yield* same(`the exit code of \`${command}\``, exitCode, 124)
      }
    })
  ),

  trial("a timeout is a number or none: below 1 it counts as 1, above 2^31 - 1 as that", ({ sandbox, sh }) =>
    Effect.gen(function* () {
      for (const timeout of [0, -1, Number.NEGATIVE_INFINITY]) {
        const { exitCode } = yield* sandbox.exec({ command: "sleep 5", timeout })
        yield* same(`the exit code with ${timeout}`, exitCode, 124)
      }
      for (const timeout of [Number.NaN, 2 ** 31, 2 ** 40, Number.POSITIVE_INFINITY, undefined]) {
        yield* same(`the output with ${timeout}`, yield* sh("sleep 0.02; echo done", { timeout }), "done\n")
      }
    })
  ),

  trial("of a long output the end is kept and the rest is counted", ({ sandbox }) =>
    Effect.gen(function* () {
      const command = "seq 1 20000; seq 1 20000 >&2"
      const whole = Array.from({ length: 20_000 }, (_, i) => `${i + 1}\n`).join("")
      const result = yield* sandbox.exec({ command, maxOutput: 1000 })
      yield* same("the end of stdout", result.stdout, whole.slice(-1000))
      yield* same("the end of stderr", result.stderr, whole.slice(-1000))
      yield* same("what is missing", result.dropped, { stdout: whole.length - 1000, stderr: whole.length - 1000 })
      const nothing = yield* sandbox.exec({ command: "printf abc", maxOutput: 0 })
      yield* same("the output of which nothing is kept", [nothing.stdout, nothing.dropped.stdout], ["", 3])
      const exact = yield* sandbox.exec({ command: "printf abc", maxOutput: 3 })
      yield* same("the output that just fits", [exact.stdout, exact.dropped.stdout], ["abc", 0])
    })
  ),

  trial("a cut splits no character", ({ sandbox }) =>
    Effect.gen(function* () {
      for (let maxOutput = 1; maxOutput <= 12; maxOutput++) {
        const { dropped, stdout } = yield* sandbox.exec({ command: "printf 'é😀aé😀'", maxOutput })
        yield* same(`whether ${maxOutput} bytes end it`, "é😀aé😀".endsWith(stdout) && !stdout.includes("�"), true)
        yield* same(`all bytes at ${maxOutput}`, new TextEncoder().encode(stdout).length + dropped.stdout, 13)
      }
    })
  ),

  trial("text of other scripts comes through whole, and what is no UTF-8 breaks nothing", ({ sandbox, sh }) =>
    Effect.gen(function* () {
      yield* same("the text", yield* sh("echo 'žluťoučký 日本 😀'; echo é | cat"), "žluťoučký 日本 😀\né\n")
      const odd = yield* sandbox.exec({ command: "printf 'before \\377\\376 after\\n'" })
      yield* same("the exit code", odd.exitCode, 0)
      yield* same("its beginning", odd.stdout.startsWith("before "), true)
      yield* same("its end", odd.stdout.endsWith(" after\n"), true)
    })
  ),

  trial("interruption ends a command, and nothing of it happens afterwards", ({ sandbox, sh }) =>
    Effect.gen(function* () {
      const command = "touch begun; sleep 1; touch late; for i in 1 2 3; do touch late$i; done"
      const fiber = yield* Effect.fork(sandbox.exec({ command }))
      while (!(yield* sandbox.list(".")).some(({ name }) => name === "begun")) yield* wait(5)
      yield* Fiber.interrupt(fiber)
      yield* wait(1_300)
      yield* same("what it left", yield* sandbox.list("."), [{ name: "begun", type: "file" }])
      yield* same("the next command", yield* sh("echo fine"), "fine\n")
    })
  ),

  trial("interruption ends a command that never lets go", ({ sandbox, sh }) =>
    Effect.gen(function* () {
      const fiber = yield* Effect.fork(sandbox.exec({ command: "while true; do echo x >> f; done" }))
      yield* wait(150)
      yield* Fiber.interrupt(fiber)
      const size = yield* Effect.either(sandbox.stat("f"))
      yield* wait(50)
      yield* same("the file's size", yield* Effect.either(sandbox.stat("f")), size)
      yield* same("the next command", yield* sh("echo fine"), "fine\n")
    })
  ),

  trial("commands at once share the files and nothing else", ({ sandbox, sh }) =>
    Effect.gen(function* () {
      const one = (i: number) => sh(`V=${i}; mkdir -p d${i}; cd d${i}; sleep 0.02; echo $V > f; cat f`)
      const outputs = yield* Effect.all(
        Array.from({ length: 8 }, (_, i) => one(i)),
        { concurrency: 8 }
      )
      yield* same(
        "what they printed",
        outputs,
        Array.from({ length: 8 }, (_, i) => `${i}\n`)
      )
      yield* same("the folders", (yield* sandbox.list(".")).length, 8)
      const waits = sh("while [ ! -e go ]; do sleep 0.01; done; echo went", { timeout: 20_000 })
      const [went] = yield* Effect.all([waits, sh("sleep 0.05; touch go")], { concurrency: 2 })
      yield* same("the one that waited for the other's file", went, "went\n")
    })
  ),

  trial("what a command started in the background does nothing after its end", ({ sandbox }) =>
    Effect.gen(function* () {
      yield* sandbox.exec({ command: "(sleep 0.3; touch late) & echo begun", timeout: 100 })
      const then = (yield* sandbox.list(".")).length
      yield* wait(500)
      yield* same("how much it left", (yield* sandbox.list(".")).length, then)
    })
  )
]
