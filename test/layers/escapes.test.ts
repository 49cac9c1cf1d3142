/**
 * Attempts to get out of a sandbox of this machine, by every member of the port that takes a path and by every tool. What
 * stands outside has a canary in its content, its size and its names: none may come back, and nothing outside may change.
 * A command itself may read what its user can; of `exec` only the folder, the environment and the processes are held.
 */
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import { Worker } from "node:worker_threads"
import { assert, describe, it } from "@effect/vitest"
import { rgPath } from "@vscode/ripgrep"
import { Effect, Exit, Inspectable } from "effect"
import { BuiltinTools } from "effect-baton/node"
import { confine } from "../../src/layers/sandbox/confine.js"
import { Sandbox } from "../../src/services/Sandbox.js"
import { plant, tempFolder } from "../support/folder.js"
import { draftsIn, makeSandbox, ownSeconds, processesWith } from "../support/sandbox.js"
import { callIn } from "../support/tools.js"

/** In milliseconds: other tests share the machine. */
const timeout = 60_000

const canary = { text: "CANARY-7f3a", name: "zz-inner-name-55", size: 74_123, env: "ENV-CANARY-91c2" }

/** The calls that each tool is tried with for a path. */
const calls: Record<string, (bad: string) => ReadonlyArray<object>> = {
  read: (path) => [{ path }],
  glob: (path) => [{ pattern: "**", path }, { pattern: path }, { pattern: `${path}/*` }, { pattern: `{a,${path}}/**` }],
  grep: (path) => [{ pattern: "CANARY|.", path }, { pattern: "C.NARY", glob: path }, { pattern: path }],
  bash: (path) => [{ command: "cat secret.txt; ls -la; pwd", cwd: path }],
  write: (path) => [{ path, content: "WRITTEN" }],
  edit: (path) => [{ path, oldText: "CANARY", newText: "WRITTEN" }]
}

/** What stands outside, with everything that a write could change. */
const told = (folder: string) =>
  fs
    .readdirSync(folder, { recursive: true, encoding: "utf8" })
    .toSorted()
    .map((name) => {
      const stat = fs.lstatSync(path.join(folder, name))
      const hash = stat.isFile()
        ? createHash("sha256")
            .update(fs.readFileSync(path.join(folder, name)))
            .digest("hex")
        : ""
      return [name, stat.mode, stat.ino, stat.size, stat.nlink, hash]
    })

/** `ground/root` is the sandbox. */
const ground = Effect.gen(function* () {
  const folder = yield* tempFolder
  const secret = canary.text.padEnd(canary.size, "\n" + canary.text)
  plant(folder, {
    "root/file.txt": "inside",
    "root/sub/deep/leaf.txt": "leaf",
    "root/.git/config": "[core]",
    "root-evil/secret.txt": secret,
    [`root-evil/${canary.name}`]: secret,
    "outside/secret.txt": secret,
    [`outside/${canary.name}`]: secret,
    [`outside/folder/${canary.name}/secret.txt`]: secret,
    "outside/shared.txt": "shared"
  })
  const root = path.join(folder, "root")
  const link = (target: string, at: string) => fs.symlinkSync(target, path.join(root, at))
  link("../outside/secret.txt", "link-relative")
  link(path.join(folder, "outside/secret.txt"), "link-absolute")
  link("../outside", "link-folder")
  link("link-relative", "chain-1")
  link("chain-1", "chain-2")
  link("../chain-2", "sub/chain-3")
  link("loop-b", "loop-a")
  link("loop-a", "loop-b")
  link("loop-self", "loop-self")
  link("../outside/new", "dangling")
  link("..", "up")
  link("/", "top")
  link("/dev/zero", "zero")
  link("/proc/self/environ", "environ")
  link("/proc/self/cwd", "cwd")
  link("/proc/self/root", "proc-root")
  link("/dev/fd", "fds")
  link("../root-evil", "sibling")
  link("sub", "good")
  link("../../outside", "sub/middle")
  link(".git", "hooks")
  // A hard link is a file of the sandbox as much as any; what is refused is to write it.
  fs.linkSync(path.join(folder, "outside/shared.txt"), path.join(root, "hard"))
  execFileSync("mkfifo", [path.join(root, "fifo")])
  process.env["BATON_CANARY"] = canary.env
  yield* Effect.addFinalizer(() => Effect.sync(() => delete process.env["BATON_CANARY"]))
  return { folder, root, sandbox: yield* makeSandbox({ root, ripgrep: rgPath }) }
})

const badPaths = (folder: string): Record<string, string> => ({
  parent: "../outside/secret.txt",
  "parent folder": "..",
  "folder outside": "../outside",
  "parent after a folder": "sub/../../outside/secret.txt",
  "parent after a missing folder": "missing/../../outside/secret.txt",
  "parent after a file": "file.txt/../../outside/secret.txt",
  "many parents": `${"../".repeat(60)}${folder.slice(1)}/outside/secret.txt`,
  absolute: `${folder}/outside/secret.txt`,
  "absolute folder": `${folder}/outside`,
  "absolute, of the system": "/etc/passwd",
  "absolute through the root": `${folder}/root/../outside/secret.txt`,
  "absolute with two slashes": `/${folder}/outside/secret.txt`,
  "sibling prefix": `${folder}/root-evil/secret.txt`,
  "sibling prefix, folder": `${folder}/root-evil`,
  "sibling prefix by parent": "../root-evil/secret.txt",
  "relative link": "link-relative",
  "absolute link": "link-absolute",
  "link to a folder": "link-folder",
  "link in the middle": "link-folder/secret.txt",
  "link in the middle, new": "link-folder/new.txt",
  "link in the middle, new folder": "link-folder/new/new.txt",
  "link further in the middle": `sub/middle/folder/${"."}/secret.txt`,
  "link and trailing slash": "link-folder/",
  "link and dot": "link-folder/.",
  "chain of links": "chain-2",
  "chain from a folder": "sub/chain-3",
  "loop of two": "loop-a",
  "loop of one": "loop-self/x",
  dangling: "dangling",
  "below dangling": "dangling/x",
  "link to the parent": "up/outside/secret.txt",
  "link to the parent, twice": "up/root/up/outside/secret.txt",
  "link to the top": `top${folder}/outside/secret.txt`,
  "link to a device": "zero",
  "link to the environment": "environ",
  "link to the working folder of the process": "cwd/package.json",
  "link to the root of the process": `proc-root${folder}/outside/secret.txt`,
  "link to the descriptors": "fds/0",
  "link to a sibling": "sibling/secret.txt",
  "good link, bad parent": "good/../../outside/secret.txt",
  "hard link": "hard",
  fifo: "fifo",
  device: "/dev/zero",
  environment: "/proc/self/environ",
  "root of the process": `/proc/self/root${folder}/outside/secret.txt`,
  "working folder of the process": "/proc/self/cwd/package.json",
  descriptors: "/dev/fd/0",
  "descriptors by process": "/proc/self/fd/0",
  "NUL in the middle": "file.txt\0/../../outside/secret.txt",
  "NUL at the end": "../outside/secret.txt\0.txt",
  empty: "",
  "very long": "a/".repeat(3_000) + "../".repeat(3_001) + "outside/secret.txt",
  "very long name": "x".repeat(5_000),
  home: "~/x",
  "home of root": "~root/.ssh/id_rsa",
  "dots that look like it": "\u2024\u2024/outside/secret.txt",
  "slashes that look like it": "..\u2215outside\u2215secret.txt",
  "wide dots": "\uFF0E\uFF0E/outside/secret.txt",
  encoded: "%2e%2e/outside/secret.txt",
  "encoded slash": "..%2foutside%2fsecret.txt",
  Windows: "..\\outside\\secret.txt",
  "Windows, absolute": "C:\\Windows\\win.ini",
  "Windows, share": "\\\\host\\share\\secret",
  "file URL": `file://${folder}/outside/secret.txt`,
  "three dots": ".../outside/secret.txt",
  "dots and spaces": ".. /outside/secret.txt",
  newline: "\n../outside/secret.txt",
  variable: "$HOME/../outside",
  command: "$(cat ../outside/secret.txt)",
  backticks: "`cat ../outside/secret.txt`",
  "command after a semicolon": "sub; cat ../outside/secret.txt",
  option: "--help",
  "option of ripgrep": "--pre=cat ../outside/secret.txt",
  "option of ripgrep, short": "-f../outside/secret.txt",
  "option and folder": "-L/../../outside",
  braces: "{..,sub}/outside/secret.txt",
  stars: "*/../../outside/*",
  "own repository": ".git/hooks/pre-commit",
  "own repository by link": "hooks/pre-commit",
  "own repository, other case": ".GIT/hooks/pre-commit"
})

describe("escapes", () => {
  it.scopedLive(
    "fail, all of them",
    () =>
      Effect.gen(function* () {
        const { folder, root, sandbox } = yield* ground
        const paths = badPaths(folder)
        const attempts: Array<readonly [name: string, attempt: Effect.Effect<unknown, unknown>]> = []
        for (const [name, bad] of Object.entries(paths)) {
          const members: Record<string, Effect.Effect<unknown, unknown>> = {
            read: sandbox.read(bad, { limit: 100_000 }),
            "read, from it": sandbox.read("secret.txt", { cwd: bad, limit: 100_000 }),
            stat: sandbox.stat(bad),
            list: sandbox.list(bad),
            place: Effect.filterOrDie(
              sandbox.place(bad),
              (place) => !place.startsWith("..") && !place.startsWith("/"),
              () => new Error(`${canary.text}: a place outside`)
            ),
            write: sandbox.write(bad, Buffer.from("WRITTEN")),
            "write, from it": sandbox.write("new.txt", Buffer.from("WRITTEN"), bad),
            "write, below it": sandbox.write(`${bad}/new.txt`, Buffer.from("WRITTEN")),
            exec: sandbox.exec({ command: "cat secret.txt; ls -la; env", cwd: bad }),
            candidates: sandbox.candidates!({ pattern: "CANARY", ignoreCase: false, path: bad }),
            "candidates, from it": sandbox.candidates!({ pattern: "CANARY", ignoreCase: false, path: ".", cwd: bad })
          }
          for (const [member, attempt] of Object.entries(members)) attempts.push([`${member}: ${name}`, attempt])
          for (const tool of BuiltinTools.tools) {
            const tried = calls[tool.name]
            if (tried === undefined) return assert.fail(`say how ${tool.name} is called`)
            for (const args of tried(bad)) {
              const attempt = Effect.suspend(() => tool.handle(args, callIn(".")))
              attempts.push([`${tool.name}: ${name}`, Effect.provideService(attempt, Sandbox, sandbox)])
            }
          }
        }
        for (const env of [
          "env",
          "echo $BATON_CANARY",
          "cat /proc/$$/environ",
          "set",
          "bash -lc env",
          "node -p process.env"
        ]) {
          attempts.push([`exec: ${env}`, sandbox.exec({ command: env })])
        }
        const seconds = ownSeconds(4325)
        const daemons = [
          `setsid sleep ${seconds} &`,
          `( ( sleep ${seconds} & ) & )`,
          `( setsid bash -c 'trap "" TERM HUP INT; while :; do sleep ${seconds}; done' > /dev/null 2>&1 & )`,
          `nohup sleep ${seconds} > /dev/null 2>&1 & disown`
        ]
        for (const daemon of daemons) attempts.push([`exec: ${daemon}`, sandbox.exec({ command: daemon })])

        const before = [told(path.join(folder, "outside")), told(path.join(folder, "root-evil"))]
        const escaped: Array<string> = []
        const tried = yield* Effect.forEach(
          attempts,
          ([name, attempt]) =>
            Effect.map(Effect.exit(attempt), (exit) => {
              const value = Exit.isSuccess(exit) ? exit.value : exit.cause
              const text =
                value instanceof Uint8Array ? Buffer.from(value).toString() : Inspectable.toStringUnknown(value)
              const asked = Exit.isFailure(exit) ? "" : text
              const found = [canary.text, canary.env].some((one) => text.includes(one))
              if (found || asked.includes(canary.name) || asked.includes(String(canary.size))) escaped.push(name)
            }),
          { concurrency: 4 }
        )
        assert.deepStrictEqual(escaped, [])
        assert.isAtLeast(tried.length, 60)
        assert.deepStrictEqual([told(path.join(folder, "outside")), told(path.join(folder, "root-evil"))], before)
        assert.deepStrictEqual(fs.readdirSync(folder).toSorted(), ["outside", "root", "root-evil"])
        assert.deepStrictEqual(fs.readdirSync(path.join(root, ".git")), ["config"])
        assert.deepStrictEqual(draftsIn(folder), [])
        assert.deepStrictEqual(processesWith(seconds), [])
      }),
    timeout
  )

  it.scopedLive(
    "fail while files and folders are swapped for links, 1,000 times",
    () =>
      Effect.gen(function* () {
        const folder = yield* tempFolder
        const names = ["victim", "spin/victim", "new/folder/victim"]
        plant(folder, { "root/victim": "inside", "root/spin/victim": "inside", "outside/victim": canary.text })
        fs.mkdirSync(path.join(folder, "outside/folder"))
        const root = path.join(folder, "root")
        const before = told(path.join(folder, "outside"))
        const turning = `
        const fs = require("node:fs"), { workerData } = require("node:worker_threads")
        const [root, outside, flag] = [workerData.root, workerData.outside, new Int32Array(workerData.flag)]
        const go = (step) => { try { step() } catch {} }
        for (let round = 0; Atomics.load(flag, 0) === 0; round++) {
          go(() => fs.symlinkSync(outside + "/victim", root + "/t")); go(() => fs.renameSync(root + "/t", root + "/victim"))
          go(() => fs.symlinkSync(outside, root + "/spin-link"))
          go(() => fs.renameSync(root + "/spin", root + "/spin-away")); go(() => fs.renameSync(root + "/spin-link", root + "/spin"))
          go(() => fs.rmSync(root + "/new", { recursive: true, force: true })); go(() => fs.symlinkSync(outside, root + "/new"))
          go(() => fs.rmSync(root + "/victim", { force: true })); go(() => fs.writeFileSync(root + "/victim", "inside", { flag: "wx" }))
          go(() => fs.renameSync(root + "/spin", root + "/spin-link")); go(() => fs.renameSync(root + "/spin-away", root + "/spin"))
          go(() => fs.rmSync(root + "/spin-link", { force: true }))
          go(() => fs.rmSync(root + "/new", { recursive: true, force: true }))
          Atomics.store(flag, 1, round)
        }`
        const flag = new SharedArrayBuffer(8)
        const state = new Int32Array(flag)
        yield* Effect.acquireRelease(
          Effect.sync(
            () => new Worker(turning, { eval: true, workerData: { root, outside: path.join(folder, "outside"), flag } })
          ),
          (worker) =>
            Effect.promise(() => {
              Atomics.store(state, 0, 1)
              return new Promise((resolve) => worker.once("exit", resolve))
            })
        )
        const files = yield* confine(root)
        const sandbox = yield* makeSandbox({ root, ripgrep: false })
        const seen = { refused: 0, inside: 0, written: 0 }
        for (let round = 0; round < 1_000 || state[1]! < 50; round++) {
          const reads = names.slice(0, 2).map((name) => Effect.either(files.read({ path: name })))
          const writes = [names[0]!, names[1 + (round % 2)]!].map((name) =>
            Effect.either(files.write({ path: name }, Buffer.from("inside")))
          )
          const [read, written, listed, ran] = yield* Effect.all(
            [
              Effect.all(reads, { concurrency: "unbounded" }),
              Effect.all(writes, { concurrency: "unbounded" }),
              round % 4 === 0 ? Effect.either(files.list({ path: "spin" })) : Effect.succeed(undefined),
              round % 50 === 0
                ? Effect.either(sandbox.exec({ command: "cat victim", cwd: "spin" }))
                : Effect.succeed(undefined)
            ],
            { concurrency: "unbounded" }
          )
          for (const result of read) {
            if (result._tag === "Left") seen.refused++
            else {
              assert.notInclude(Buffer.from(result.right).toString(), canary.text)
              seen.inside++
            }
          }
          for (const result of written) if (result._tag === "Right") seen.written++
          if (listed?._tag === "Right")
            assert.notInclude(
              listed.right.map(({ name }) => name),
              "folder"
            )
          if (ran?._tag === "Right") assert.notInclude(ran.right.stdout, canary.text)
        }
        assert.isAbove(Math.min(seen.refused, seen.inside, seen.written), 50)
        assert.deepStrictEqual(told(path.join(folder, "outside")), before)
      }),
    timeout
  )
})
