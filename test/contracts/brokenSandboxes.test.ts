/**
 * Sandboxes that break the contract, each in one way: a case of it tells so.
 */
import * as path from "node:path/posix"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { Errors, Sandbox } from "effect-baton"
import { SandboxContract } from "effect-baton/testing"
import { VirtualSandbox } from "effect-baton/virtual"

type Service = Context.Tag.Service<Sandbox.Sandbox>

interface Fault {
  /** What is done to a sandbox that holds to the contract; what is not named stays. */
  readonly broken: (sound: Service) => Partial<Service>
  /** How the name of the case begins that tells of it. */
  readonly by: string
  /** What that case says. */
  readonly says: RegExp
}

const most = 64 * 1024 * 1024
const bytesOf = (text: string) => new TextEncoder().encode(text)

/** The outputs whole, and what is made of each. */
const cutBy =
  (cut: (bytes: Uint8Array, max: number) => Uint8Array): Fault["broken"] =>
  ({ exec }) => ({
    exec: ({ maxOutput = most, ...request }) =>
      Effect.map(exec({ ...request, maxOutput: most }), (it) => {
        const [out, err] = [bytesOf(it.stdout), bytesOf(it.stderr)]
        const [stdout, stderr] = [cut(out, maxOutput), cut(err, maxOutput)]
        return {
          ...it,
          stdout: new TextDecoder().decode(stdout),
          stderr: new TextDecoder().decode(stderr),
          dropped: { stdout: out.length - stdout.length, stderr: err.length - stderr.length }
        }
      })
  })

/** Paths are made into others before anything is done with them. */
const renamed =
  (other: (at: string, root: string) => string): Fault["broken"] =>
  ({ list, place, read, root, stat, write }) => ({
    read: (at, options) => read(other(at, root), options),
    stat: (at, cwd) => stat(other(at, root), cwd),
    list: (at, cwd) => list(other(at, root), cwd),
    place: (at, cwd) => place(other(at, root), cwd),
    write: (at, bytes, cwd) => write(other(at, root), bytes, cwd)
  })

const faults: Readonly<Record<string, Fault>> = {
  "reads from the beginning, whatever the offset": {
    broken: ({ read }) => ({ read: (at, options) => read(at, { ...options, offset: 0 }) }),
    by: "a range is read",
    says: /^2 to 5 is "012"/
  },
  "reads to the end, whatever the limit": {
    broken: ({ read }) => ({ read: (at, options) => read(at, { ...options, limit: undefined }) }),
    by: "a range is read",
    says: /^2 to 5 is "23456789"/
  },
  "lists in no order": {
    broken: ({ list }) => ({ list: (at, cwd) => Effect.map(list(at, cwd), (it) => it.toReversed()) }),
    by: "a list is sorted",
    says: /^the order is/
  },
  "looks through the links of a list": {
    broken: ({ list, stat }) => ({
      list: (at, cwd) =>
        Effect.flatMap(list(at, cwd), (entries) =>
          Effect.forEach(entries, (entry) =>
            Effect.match(stat(path.join(at, entry.name), cwd), {
              onFailure: () => entry,
              onSuccess: ({ type }) => ({ ...entry, type })
            })
          )
        )
    }),
    by: "a list is sorted",
    says: /^the list is .*"link":"file"/
  },
  "lists a file as a folder of nothing": {
    broken: ({ list }) => ({ list: (at, cwd) => Effect.orElseSucceed(list(at, cwd), () => []) }),
    by: "neither a file nor what does not exist is listed",
    says: /^the list of a file gives/
  },
  "tells what a link is": {
    broken: ({ list, stat }) => ({
      stat: (at, cwd) =>
        Effect.flatMap(
          Effect.orElseSucceed(list(path.dirname(at), cwd), () => []),
          (entries) =>
            entries.some(({ name, type }) => name === path.basename(at) && type === "other")
              ? Effect.succeed({ type: "other" as const, size: 0 })
              : stat(at, cwd)
        )
    }),
    by: "a stat tells",
    says: /^the link to it is .*"other"/
  },
  "takes a path's name for its place": {
    broken: ({ place, root }) => ({
      place: (at, cwd = ".") => Effect.as(place(at, cwd), path.relative(root, path.resolve(root, cwd, at)) || ".")
    }),
    by: "a file has one place",
    says: /^the place of lf is "lf"/
  },
  "has no place for what does not exist": {
    broken: ({ place, stat }) => ({ place: (at, cwd) => Effect.zipRight(stat(at, cwd), place(at, cwd)) }),
    by: "what does not exist has a place",
    says: /^what the contract allows failed/
  },
  "leaves of a longer file what the shorter one does not cover": {
    broken: ({ read, write }) => ({
      write: (at, bytes, cwd) =>
        Effect.flatMap(
          Effect.orElseSucceed(read(at, { cwd, offset: bytes.length }), () => bytesOf("")),
          (rest) => write(at, Buffer.concat([bytes, rest]), cwd)
        )
    }),
    by: "a file is made, and replaced",
    says: /^the file is "x longer one"/
  },
  "writes in two pieces": {
    broken: ({ write }) => ({
      write: (at, bytes, cwd) =>
        Effect.zipRight(write(at, bytes.slice(0, bytes.length / 2), cwd), write(at, bytes, cwd))
    }),
    by: "who reads while a file is replaced",
    says: /^whether it is one of both is false/
  },
  "makes no folders on the way": {
    broken: ({ stat, write }) => ({
      write: (at, bytes, cwd) => Effect.zipRight(stat(path.dirname(at), cwd), write(at, bytes, cwd))
    }),
    by: "the folders on the way",
    says: /^what the contract allows failed/
  },
  "puts a new file in the place of the old one": {
    broken: ({ exec, write }) => ({
      write: (at, bytes, cwd) => Effect.zipRight(exec({ command: `rm -f '${at}'`, cwd }), write(at, bytes, cwd))
    }),
    by: "a file keeps its permissions",
    says: /^its permissions is "644"/
  },
  "puts a file in the place of a link": {
    broken: ({ exec, write }) => ({
      write: (at, bytes, cwd) =>
        Effect.zipRight(exec({ command: `[ -L '${at}' ] && rm '${at}'`, cwd }), write(at, bytes, cwd))
    }),
    by: "a write through a link that stays inside",
    says: /^the file is "old\\n"/
  },
  "writes to a repository's own files": {
    broken: ({ exec, write }) => ({
      write: (at, bytes, cwd) =>
        Effect.catchAll(write(at, bytes, cwd), (error) =>
          at.includes(".git/") ? Effect.asVoid(exec({ command: `printf %s evil > '${at}'`, cwd })) : error
        )
    }),
    by: "nothing is written below .git",
    says: /^the write to \.git\/config gives/
  },
  "takes `..` at its root for the root": {
    broken: renamed((at) => (path.isAbsolute(at) ? at : path.join("/", at).slice(1) || ".")),
    by: "`..` leads nowhere",
    says: /^the \w+ of "\.\."|^the \w+ of "a\/\.\.\/\.\.\/x"/
  },
  "takes what a link names for a place, whether or not it leads there": {
    broken: ({ exec, place }) => ({
      place: (at, cwd) =>
        Effect.catchAll(place(at, cwd), (error) =>
          Effect.flatMap(exec({ command: `readlink '${at}'`, cwd }), ({ exitCode, stdout }) =>
            exitCode === 0 ? Effect.succeed(path.normalize(stdout.trim())) : error
          )
        )
    }),
    by: "a link by `..` behind what does not exist",
    says: /^the place of "out" gives/
  },
  "takes an absolute path for one from its root": {
    broken: renamed((at, root) => (path.isAbsolute(at) && !at.startsWith(root) ? `.${at}` : at)),
    by: "an absolute path leads nowhere",
    says: /^the stat of "\/" gives/
  },
  "takes an empty path for the root": {
    broken: renamed((at) => (at === "" ? "." : at)),
    by: "neither an empty path",
    says: /of "" gives/
  },
  "ends a path at its NUL": {
    broken: renamed((at) => at.replace(/(?<=.)\0.*/, "")),
    by: "neither an empty path",
    says: /of "f\\u0000" gives/
  },
  "takes every path from its root": {
    broken: ({ list, place, read, stat, write }) => ({
      read: (at, options) => read(at, { ...options, cwd: undefined }),
      stat: (at) => stat(at),
      list: (at) => list(at),
      place: (at) => place(at),
      write: (at, bytes) => write(at, bytes)
    }),
    by: "a relative path starts from its cwd",
    says: /^f from a\/b is "top"/
  },
  "runs every command in its root": {
    broken: ({ exec }) => ({ exec: (request) => exec({ ...request, cwd: undefined }) }),
    by: "a command starts in the root",
    says: /^f of a\/b is "top"/
  },
  "knows no timeout": {
    broken: ({ exec }) => ({ exec: (request) => exec({ ...request, timeout: undefined }) }),
    by: "a command that takes too long",
    says: /^the exit code is 0/
  },
  "ends a command that took too long with another code": {
    broken: ({ exec }) => ({
      exec: (request) => Effect.map(exec(request), (it) => (it.exitCode === 124 ? { ...it, exitCode: 137 } : it))
    }),
    by: "a command that takes too long",
    says: /^the exit code is 137/
  },
  "takes a timeout of nothing for none": {
    broken: ({ exec }) => ({
      exec: ({ timeout = 0, ...request }) =>
        exec({
          ...request,
          command: request.command.replace("sleep 5", "sleep 0.05"),
          timeout: timeout > 0 ? timeout : undefined
        })
    }),
    by: "a timeout is a number or none",
    says: /^the exit code with 0 is 0/
  },
  "loses the exit code": {
    broken: ({ exec }) => ({ exec: (request) => Effect.map(exec(request), (it) => ({ ...it, exitCode: 0 })) }),
    by: "a command's outputs",
    says: /^the result is .*"exitCode":0/
  },
  "fails where a command does": {
    broken: ({ exec }) => ({
      exec: (request) =>
        Effect.filterOrFail(
          exec(request),
          ({ exitCode }) => exitCode === 0,
          () => new Errors.SandboxError({ operation: "exec", path: "a command", reason: "it failed" })
        )
    }),
    by: "a command's outputs",
    says: /^what the contract allows failed/
  },
  "prints both outputs as one": {
    broken: ({ exec }) => ({
      exec: (request) => Effect.map(exec(request), (it) => ({ ...it, stdout: it.stdout + it.stderr, stderr: "" }))
    }),
    by: "a command's outputs",
    says: /^the result is .*"out\\nerr\\n"/
  },
  "keeps the beginning of an output": {
    broken: cutBy((bytes, max) => bytes.subarray(0, max)),
    by: "of a long output the end is kept",
    says: /^the end of stdout is "1\\n2/
  },
  "does not count what it drops": {
    broken: ({ exec }) => ({
      exec: (request) => Effect.map(exec(request), (it) => ({ ...it, dropped: { stdout: 0, stderr: 0 } }))
    }),
    by: "of a long output the end is kept",
    says: /^what is missing is/
  },
  "cuts within a character": {
    broken: cutBy((bytes, max) => bytes.subarray(Math.max(0, bytes.length - max))),
    by: "a cut splits no character",
    says: /^whether 1 bytes end it is false/
  },
  "keeps the variables of earlier commands": {
    broken: ({ exec }) => {
      let kept = {}
      return { exec: (request) => exec({ ...request, env: (kept = { ...kept, ...request.env }) }) }
    },
    by: "variables are added for one command",
    says: /^the next command's is "\[x\]"/
  },
  "drops a variable that cannot be given": {
    broken: ({ exec }) => ({
      exec: ({ env = {}, ...request }) =>
        exec({ ...request, env: Object.fromEntries(Object.entries(env).filter(([name]) => /^\w+$/.test(name))) })
    }),
    by: "a variable of no name",
    says: /^an empty name gives/
  },
  "lets an interrupted command go on": {
    broken: ({ exec }) => ({ exec: (request) => Effect.disconnect(Effect.uninterruptible(exec(request))) }),
    by: "interruption ends a command, and nothing",
    says: /^what it left is .*"late"/
  }
}

describe("a sandbox breaks the contract that", () => {
  // One thread for all of them, emptied before each.
  const sandbox = Effect.gen(function* () {
    const context = yield* Layer.build(VirtualSandbox.layer())
    return { sound: Context.get(context, Sandbox.Sandbox), ...Context.get(context, VirtualSandbox.VirtualSandbox) }
  })

  it.scopedLive("only where it is broken", () =>
    Effect.gen(function* () {
      const { restore, snapshot, sound } = yield* sandbox
      const empty = yield* snapshot
      for (const by of new Set(Object.values(faults).map((it) => it.by))) {
        yield* restore(empty)
        yield* Effect.provideService(caseOf(by).run, Sandbox.Sandbox, sound)
      }
    })
  )

  for (const [name, { broken, by, says }] of Object.entries(faults)) {
    it.scopedLive(name, () =>
      Effect.gen(function* () {
        const { sound } = yield* sandbox
        const told = yield* Effect.flip(
          Effect.provideService(caseOf(by).run, Sandbox.Sandbox, { ...sound, ...broken(sound) })
        )
        assert.instanceOf(told, SandboxContract.Broken)
        assert.match(told.message, says)
      })
    )
  }
})

const caseOf = (beginning: string): SandboxContract.Case => {
  const found = SandboxContract.cases.filter(({ name }) => name.startsWith(beginning))
  assert.lengthOf(found, 1, beginning)
  return found[0]!
}
