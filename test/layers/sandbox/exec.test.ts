import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { isAlive, pidIn } from "../../support/folder.js"
import { groundOf, makeSandbox, ownSeconds, processesWith } from "../../support/sandbox.js"

/** Waits in the shell until files hold something. */
const until = (...files: ReadonlyArray<string>) =>
  `while ! [ ${files.map((file) => `-s ${file}`).join(" -a ")} ]; do sleep 0.01; done`

/** A sandbox whose test leaves nothing behind, even where the sandbox does: the process told in `pid` is ended. */
const ground = Effect.tap(groundOf({}), ({ root }) =>
  Effect.addFinalizer(() =>
    Effect.sync(() => {
      const file = path.join(root, "pid")
      const pid = fs.existsSync(file) ? Number(fs.readFileSync(file, "utf8")) : 0
      if (pid > 1 && isAlive(pid)) process.kill(pid, "SIGKILL")
    })
  )
)

/** Ways to outlive a command. Each writes its id to `pid`, as the last thing that it does before it stays. */
const stayers: Record<string, string> = {
  background: `bash -c 'echo $$ > pid; exec sleep 4321' &`,
  nohup: `nohup bash -c 'echo $$ > pid; exec sleep 4321' > /dev/null 2>&1 &`,
  "double fork": `( ( bash -c 'echo $$ > pid; exec sleep 4321' & ) & )`,
  "session of its own": `setsid bash -c 'echo $$ > pid; exec sleep 4321' &`,
  "session of its own, all closed": `setsid bash -c 'echo $$ > pid; exec sleep 4321' < /dev/null > /dev/null 2>&1 &`,
  "daemon that is deaf": `( setsid bash -c 'trap "" TERM HUP INT QUIT; echo $$ > pid; while :; do sleep 1; done' > /dev/null 2>&1 & )`,
  "session in a session": `setsid setsid bash -c 'setsid bash -c "echo \\$\\$ > pid; exec sleep 4321" > /dev/null 2>&1 &' &`,
  "group of its own": `timeout 4321 bash -c 'echo $$ > pid; exec sleep 4321' > /dev/null 2>&1 &`,
  disowned: `bash -c 'echo $$ > pid; exec sleep 4321' > /dev/null 2>&1 & disown`,
  "no environment, holds an output": `env -i setsid bash -c 'echo $$ > pid; exec sleep 4321' &`,
  "no environment, same session": `env -i bash -c 'echo $$ > pid; exec sleep 4321' > /dev/null 2>&1 &`,
  stopped: `setsid bash -c 'echo $$ > pid; kill -STOP $$' > /dev/null 2>&1 &`
}

describe("exec", () => {
  for (const [name, stayer] of Object.entries(stayers)) {
    it.scopedLive(`outlives no command: ${name}`, () =>
      Effect.gen(function* () {
        const { root, sandbox } = yield* ground
        const result = yield* sandbox.exec({ command: `${stayer}\n${until("pid")}; echo done; exit 3` })
        assert.deepStrictEqual([result.stdout, result.exitCode], ["done\n", 3])
        assert.isFalse(isAlive(yield* pidIn(path.join(root, "pid"))))
      })
    )
  }

  it.scopedLive("ends what has neither its mark nor its outputs while its parent lives", () =>
    Effect.gen(function* () {
      const { root, sandbox } = yield* ground
      const hidden = `env -i setsid bash -c 'echo $$ > pid; exec sleep 4321' > /dev/null 2>&1 < /dev/null`
      const fiber = yield* Effect.fork(sandbox.exec({ command: `${hidden} & wait` }))
      const pid = yield* pidIn(path.join(root, "pid"))
      yield* Fiber.interrupt(fiber)
      assert.isFalse(isAlive(pid))
    })
  )

  it.scopedLive("ends such a one that is deaf to SIGTERM, though its parent is not", () =>
    Effect.gen(function* () {
      const { root, sandbox } = yield* ground
      const deaf = `trap "" TERM; echo $$ > pid; while :; do sleep 0.05; done`
      const hidden = `env -i setsid bash -c '${deaf}' > /dev/null 2>&1 < /dev/null`
      const fiber = yield* Effect.fork(sandbox.exec({ command: `${hidden} & wait` }))
      const pid = yield* pidIn(path.join(root, "pid"))
      yield* Fiber.interrupt(fiber)
      try {
        assert.isFalse(isAlive(pid))
      } finally {
        if (isAlive(pid)) process.kill(pid, "SIGKILL")
      }
    })
  )

  it.scopedLive("ends those of a command alone", () =>
    Effect.gen(function* () {
      const { root, sandbox } = yield* groundOf({})
      const daemon = (at: string) => `setsid bash -c 'echo $$ > ${at}; exec sleep 4321' > /dev/null 2>&1 &`
      const others = yield* Effect.forEach(
        Array.from({ length: 12 }, (_, index) => `pid-${index}`),
        (at) => Effect.fork(sandbox.exec({ command: `${daemon(at)} while ! [ -s end ]; do sleep 0.01; done` }))
      )
      const pids = yield* Effect.forEach(others, (_, index) => pidIn(path.join(root, `pid-${index}`)))
      for (let round = 0; round < 3; round++) {
        yield* sandbox.exec({ command: `${daemon("own")} ${until("own")}` })
        assert.isFalse(isAlive(yield* pidIn(path.join(root, "own"))))
        fs.rmSync(path.join(root, "own"))
        assert.isTrue(pids.every(isAlive))
      }
      yield* Fiber.interrupt(others[1]!)
      assert.deepStrictEqual(pids.map(isAlive), [true, false, ...Array.from({ length: 10 }, () => true)])
      fs.writeFileSync(path.join(root, "end"), "now")
      yield* Effect.forEach(
        others.filter((_, index) => index !== 1),
        (fiber) => Fiber.join(fiber)
      )
      assert.isFalse(pids.some(isAlive))
    })
  )

  it.scopedLive("leaves alone what was started before it and beside it", () =>
    Effect.gen(function* () {
      const { sandbox } = yield* groundOf({})
      const beside = yield* Effect.acquireRelease(
        Effect.sync(() => spawn("sleep", ["4322"], { stdio: "ignore" })),
        (child) => Effect.sync(() => child.kill("SIGKILL"))
      )
      yield* sandbox.exec({ command: "setsid sleep 4321 > /dev/null 2>&1 & sleep 0.05" })
      assert.isTrue(isAlive(beside.pid!))
    })
  )

  it.scopedLive("finds what a sandbox within a command has started", () =>
    Effect.gen(function* () {
      const { root } = yield* groundOf({})
      const before = process.env["BATON_EXEC"]
      process.env["BATON_EXEC"] = "<outer>"
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          if (before === undefined) delete process.env["BATON_EXEC"]
          else process.env["BATON_EXEC"] = before
        })
      )
      const sandbox = yield* makeSandbox({ root })
      const { stdout } = yield* sandbox.exec({ command: "echo $BATON_EXEC", env: { BATON_EXEC: "given" } })
      assert.match(stdout, /^<outer><\d+\.\d+\.\d+>\n$/)
    })
  )

  it.scopedLive("ends a storm of forks", () =>
    Effect.gen(function* () {
      const { root, sandbox } = yield* groundOf({})
      const seconds = ownSeconds(4323)
      const storm = `
        storm() { while :; do ( : ; exec sleep ${seconds} ) & sleep 0.002; done; }
        storm & (setsid bash -c 'while :; do (exec sleep ${seconds}) & sleep 0.002; done' > /dev/null 2>&1 &)
        echo x > up; wait`
      const fiber = yield* Effect.fork(sandbox.exec({ command: storm }))
      yield* Effect.promise(async () => {
        while (!fs.existsSync(path.join(root, "up")) || processesWith(seconds).length < 20) {
          await new Promise((resolve) => setImmediate(resolve))
        }
      })
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(processesWith(seconds), [])
    })
  )

  it.scopedLive("does not wait for outputs that are closed or a standard input that is read", () =>
    Effect.gen(function* () {
      const { sandbox } = yield* groundOf({})
      const closed = yield* sandbox.exec({ command: "echo before; exec > /dev/null 2>&1; exec 1>&- 2>&-; exit 7" })
      assert.deepStrictEqual([closed.stdout, closed.exitCode], ["before\n", 7])
      const reading = yield* sandbox.exec({ command: "read line; echo $?; cat; bash -c 'cat; echo inner'" })
      assert.strictEqual(reading.stdout, "1\ninner\n")
    })
  )

  it.scopedLive("starts in the folder that was checked, whatever its name leads to by then", () =>
    Effect.gen(function* () {
      const { folder, root, sandbox } = yield* groundOf({ "root/sub/file.txt": "inside" })
      fs.symlinkSync("sub", path.join(root, "good"))
      const { stdout } = yield* sandbox.exec({
        command: "pwd; cat file.txt; readlink /proc/self/fd/* | grep -c $PWD",
        cwd: "good"
      })
      assert.strictEqual(stdout, `${root}/sub\ninside0\n`)
      assert.isTrue(fs.existsSync(folder))
      const error = yield* Effect.flip(sandbox.exec({ command: "true", cwd: "sub/file.txt" }))
      assert.match(error.message, /not a folder/)
      fs.chmodSync(path.join(root, "sub"), 0o755)
      const tooLong = yield* Effect.flip(sandbox.exec({ command: "true", env: { LONG: "x".repeat(3_000_000) } }))
      assert.match(tooLong.message, /Cannot exec a command: .*too long/)
    })
  )
})
