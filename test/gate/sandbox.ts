/**
 * What a model hands to the sandbox, by its tools.
 */
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { Script } from "effect-baton"
import { BuiltinTools } from "effect-baton/node"
import { plant } from "../support/folder.js"
import { type Case, sink } from "./sink.js"
import { calling } from "./stages.js"
import * as V from "./values.js"

const secret = "OUT OF BOUNDS"

/** `root` is the sandbox; what lies beside it is out of bounds. */
export const plantGround = (folder: string): void => {
  plant(folder, {
    "root/file.txt": "inside\n",
    "root/wide.txt": `${"a".repeat(1_000_000)}\n`,
    "root/big.txt": "line\n".repeat(1_000_000),
    "root/binary.bin": new Uint8Array([0, 1, 2]),
    "root/latin.txt": new Uint8Array([0x66, 0xff, 0xfe, 0x0a]),
    "root/sub/leaf.txt": "leaf\n",
    "root-evil/secret.txt": secret,
    "outside/secret.txt": secret
  })
  const at = (name: string) => path.join(folder, "root", name)
  fs.symlinkSync("../outside/secret.txt", at("link"))
  fs.symlinkSync("link", at("chain"))
  fs.symlinkSync("../outside", at("link-folder"))
  fs.symlinkSync("loop-b", at("loop-a"))
  fs.symlinkSync("loop-a", at("loop-b"))
  fs.symlinkSync("/dev/zero", at("zero"))
  fs.symlinkSync("/proc/self/environ", at("environ"))
  execFileSync("mkfifo", [at("fifo")])
}

const use = (name: string, args: object) => () => Script.call(name, args)
const read = (path: unknown, more: object = {}) => use("read", { path, ...more })
const bash = (command: unknown, more: object = {}) => use("bash", { command, ...more })
const grep = (pattern: unknown, more: object = {}) => use("grep", { pattern, ...more })

/** Searches in a time that is linear in what is searched, whatever the expression. */
const cases: ReadonlyArray<Case<Script.Call>> = [
  ["T", "read: a parent", read("../outside/secret.txt"), /out of the sandbox/],
  ["T", "read: a parent after a folder", read("sub/../../outside/secret.txt"), /out of the sandbox/],
  ["T", "read: many parents", read(`${"../".repeat(50)}etc/passwd`), /out of the sandbox/],
  ["T", "read: absolute", read("/etc/passwd"), /out of the sandbox/],
  ["T", "read: a sibling with the same beginning", read("../root-evil/secret.txt"), /out of the sandbox/],
  ["T", "read: a link", read("link"), /out of the sandbox/],
  ["T", "read: a chain of links", read("chain"), /out of the sandbox/],
  ["T", "read: a link in the middle", read("link-folder/secret.txt"), /out of the sandbox/],
  ["T", "read: a loop of links", read("loop-a"), /goes round/],
  ["T", "read: /dev/zero", read("/dev/zero"), /out of the sandbox/],
  ["T", "read: a link to /dev/zero", read("zero"), /out of the sandbox/],
  ["T", "read: the environment", read("/proc/self/environ"), /out of the sandbox/],
  ["T", "read: a link to the environment", read("environ"), /out of the sandbox/],
  ["T", "read: a FIFO", read("fifo"), /not a regular file/],
  ["T", "read: a folder", read("sub"), /it is a folder/],
  ["T", "read: empty", read(""), /the path is empty/],
  ["C", "read: NUL", read("file.txt\0.png")],
  ["T", "read: half of a pair", read(`${V.half}.txt`), /no such file/],
  ["T", "read: 100 KB", read("a/".repeat(50_000)), /too long|no such file/],
  ["T", "read: a number", read(5), /path: Expected string/],
  ["T", "read: offset 1.5", read("file.txt", { offset: 1.5 }), /offset/],
  ["A", "read: offset -1", read("file.txt", { offset: -1 })],
  ["A", "read: offset 2^53", read("file.txt", { offset: 2 ** 53 - 1 })],
  ["A", "read: limit -1", read("sub/leaf.txt", { limit: -1 })],
  ["T", "read: limit NaN", read("file.txt", { limit: Number.NaN }), /not a JSON object/],
  ["C", "read: not UTF-8", read("latin.txt")],
  ["A", "read: binary", read("binary.bin")],
  ["A", "read: more than a page", read("big.txt")],
  ["T", "grep: not an expression", grep("("), /Cannot grep/],
  ["T", "grep: back references", grep("(a)\\1"), /Cannot grep/],
  ["T", "grep: a count that explodes", grep("((a{1000}){1000}){1000}"), /Cannot grep/],
  ["T", "grep: 100 KB", grep("a".repeat(100_000)), /longer than 500/],
  ["A", "grep: a catastrophic one", grep("(a+)+$", { path: "wide.txt" })],
  ["A", "grep: another", grep("(a|aa)*b", { path: "wide.txt" })],
  ["L", "grep: every line", grep("line", { path: "big.txt" }), /there are more/],
  ["T", "grep: outside", grep("OUT", { path: "../outside" }), /out of the sandbox/],
  ["T", "grep: a FIFO", grep("x", { path: "fifo" }), /./],
  ["T", "glob: alternatives that explode", use("glob", { pattern: "{a,b}".repeat(40) }), /too many alternatives/],
  ["T", "glob: 100 KB", use("glob", { pattern: "*".repeat(100_000) }), /longer than/],
  ["A", "glob: stars", use("glob", { pattern: `${"*a".repeat(100)}b` })],
  ["T", "glob: outside", use("glob", { pattern: "../outside/*" }), /out of the sandbox/],
  ["A", "bash: metacharacters", bash(`printf '%s' "a;b" '$(id)' '\n'`)],
  ["T", "bash: half of a pair in the folder", bash("true", { cwd: V.half }), /no such file/],
  ["T", "bash: outside", bash("true", { cwd: "../outside" }), /out of the sandbox/],
  ["L", "bash: output without end", bash("timeout 0.3 yes"), /are not shown/],
  ["C", "bash: not UTF-8", bash("printf '\\xff\\xfe'")],
  ["L", "bash: timeout -1", bash("sleep 30", { timeout: -1 }), /ran out of its time of 1 s/],
  ["T", "bash: timeout NaN", bash("true", { timeout: Number.NaN }), /not a JSON object/],
  ["A", "bash: timeout 2^31", bash("true", { timeout: 2 ** 31 })],
  ["T", "bash: timeout Infinity", bash("true", { timeout: Number.POSITIVE_INFINITY }), /not a JSON object/],
  ["A", "bash: timeout 1e308", bash("true", { timeout: 1e308 })]
]

export const sandbox = sink("sandbox, by a model", (call: Script.Call) => calling(BuiltinTools.tools, call), cases)
