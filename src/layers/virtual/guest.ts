/**
 * The thread that a virtual sandbox works in: it has the files and runs the commands, and is asked by messages.
 */
import { parentPort, workerData } from "node:worker_threads"
import { isMissing } from "../peers.js"
import { codeOf, reasons as common, Refusal } from "../sandbox/rules.js"
import { below } from "./below.js"
import { run, type Shell } from "./commands.js"
import { Changes } from "./Changes.js"
import * as files from "./files.js"
import type { FromGuest, Setup, ToGuest } from "./messages.js"
import { rewind } from "./rewind.js"
import { plant, take } from "./snapshot.js"
import { Tree } from "./Tree.js"

const setup = workerData as Setup
const port = parentPort!
const tell = (message: FromGuest): void => port.postMessage(message)

const begin = async (): Promise<Tree> => {
  const { limits, overlay, root, snapshot } = setup
  const tree = await furnished(snapshot === undefined ? new Tree(limits.files) : plant(snapshot, limits.files))
  if (overlay !== undefined) tree.mount(root, await below(overlay, root))
  for (const [path, content] of Object.entries(setup.files)) {
    const bytes = typeof content === "string" ? Buffer.from(content) : content
    await files.write(tree, root, { path, cwd: undefined, bytes })
  }
  return tree
}

/** With the folders that every sandbox begins with. What the tree has in their places stays. */
const furnished = async (tree: Tree): Promise<Tree> => {
  for (const [place, mode] of [
    ["/tmp", 0o1777],
    [setup.root, 0o755]
  ] as const) {
    // A snapshot may have something on the way that leads to no folder: so it was, and so it comes back.
    const found = await tree.find(place, false).catch(() => undefined)
    if (found !== undefined && found.node === undefined) tree.putFolder(files.pathOf(found), { mode })
  }
  return tree
}

/** Answers until the thread is ended. */
const serve = (first: Tree, justBash: Shell["justBash"]): void => {
  let tree = first
  tree.changes = new Changes(setup.limits.changes)
  let sleepers = 0
  const sleeping = new Map<number, { readonly exec: number; readonly wake: () => void }>()
  const running = new Map<number, AbortController>()
  const { root } = setup

  const shellOf = (exec: number): Shell => ({
    justBash,
    env: setup.env,
    limits: setup.limits,
    sleep: (millis) =>
      new Promise((wake) => {
        sleeping.set(++sleepers, { exec, wake })
        tell({ sleep: sleepers, millis })
      })
  })

  /** Nobody waits any more for what a command slept that has ended. */
  const forget = (exec: number): void => {
    const rest = [...sleeping].filter(([, sleeper]) => sleeper.exec === exec).map(([id]) => id)
    for (const id of rest) sleeping.delete(id)
    if (rest.length > 0) tell({ rest })
  }

  const answer = async (message: Exclude<ToGuest, { stop: number } | { woken: number }>): Promise<unknown> => {
    const { args, call } = message
    switch (call) {
      case "read":
        return files.read(tree, root, args)
      case "stat":
        return files.stat(tree, root, args)
      case "list":
        return files.list(tree, root, args)
      case "place":
        return files.place(tree, root, args)
      case "write":
        return files.write(tree, root, args)
      case "snapshot":
        return take(tree)
      case "restore": {
        // A command that runs meanwhile goes on in the files that it began with, of which nothing is noted any more.
        const next = await furnished(plant(args, setup.limits.files))
        next.changes = tree.changes
        tree.changes = undefined
        tree = next
        return
      }
      case "rewind":
        return rewind(() => tree, root, args)
      case "exec": {
        const controller = new AbortController()
        running.set(message.id, controller)
        try {
          const cwd = await files.folder(tree, root, { path: args.cwd ?? ".", cwd: undefined })
          return await run(shellOf(message.id), tree, cwd, args, controller)
        } finally {
          running.delete(message.id)
          forget(message.id)
        }
      }
    }
  }

  port.on("message", (message: ToGuest) => {
    if ("stop" in message) running.get(message.stop)?.abort()
    else if ("woken" in message) {
      sleeping.get(message.woken)?.wake()
      sleeping.delete(message.woken)
    } else {
      answer(message).then(
        (value) => tell({ id: message.id, value }),
        (error: unknown) => tell({ id: message.id, refused: reasonOf(error) })
      )
    }
  })
  tell({ ready: true })
}

const reasonOf = (error: unknown): string => {
  if (error instanceof Refusal) return error.message
  const code = codeOf(error)
  return (
    (code === undefined ? undefined : reasons[code]) ??
    (error instanceof Error ? error.message : "an unexpected failure")
  )
}

const reasons: { readonly [code: string]: string } = {
  ...common,
  EFBIG: "it is too large for one piece",
  ELOOP: "it goes round in links",
  ENOSPC: "the sandbox has no room for it"
}

try {
  const justBash = await import("just-bash")
  serve(await begin(), justBash)
} catch (error) {
  tell({ failed: reasonOf(error), missing: isMissing(error) })
}
