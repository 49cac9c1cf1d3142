/**
 * Owners that are frozen for longer than their lease: another one takes over, and they wake up.
 */
import { spawn } from "node:child_process"
import { Effect, Fiber, Layer } from "effect"
import { Agent, Model, Script, Tool } from "effect-baton"
import type { Job } from "./job.js"
import { doubled } from "../../support/recoveries.js"
import { randomOf } from "./chaos.js"
import { snapshot } from "./checks.js"
import type { Deed } from "./crowd.js"
import { startWith } from "./engine.js"
import { linesOf } from "./ledger.js"
import { type Backend, folder, program } from "./matrix.js"
import type { Stage } from "./scenario.js"

/** How long the owner is frozen is twice the duration. */
export const zombieLeases = { duration: 400, renewal: 100, poll: 20, attempts: 10 }

/** An agent whose prompt `work` never ends where it is the owner's, and at once where it is another's. */
export const zombie = ({ isFirst, ledgers }: Stage) =>
  Effect.sync(() => {
    const plain = Tool.make("plain", {
      description: "Has an effect",
      run: (_, { key }) => Effect.sync(() => ledgers.effects({ tool: "plain", key, pid: process.pid }))
    })
    const again: Script.Turn = { before: Effect.sleep(2), calls: [Script.call("plain")] }
    return {
      agent: Agent.make("lead", {
        tools: [plain],
        delegate: "off",
        limits: { turns: 1_000_000, repeats: 1_000_000 }
      }),
      layer: Layer.mergeAll(
        Model.layerScripted([Script.on("work", isFirst ? again : "taken over"), Script.always("ok")])
      )
    }
  })

/** What the owner tells of a round: that it works, and how it ended. */
export type Told = { readonly begun: string } | { readonly ended: string; readonly session: string }

const owner = (job: Job) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(process.execPath, [program("boot.cjs"), program("worker.cjs"), JSON.stringify(job)], {
        stdio: ["pipe", "pipe", "inherit"]
      })
      const told: Array<Told> = []
      const waiting = new Set<() => void>()
      let rest = ""
      child.stdout.on("data", (text: Buffer) => {
        const lines = (rest + text.toString()).split("\n")
        rest = lines.pop()!
        for (const line of lines) told.push(JSON.parse(line) as Told)
        for (const look of waiting) look()
      })
      const until = <A>(find: (it: Told) => A | undefined): Effect.Effect<A> =>
        Effect.async<A>((resume) => {
          const look = () => {
            for (const it of told) {
              const found = find(it)
              if (found === undefined) continue
              waiting.delete(look)
              return resume(Effect.succeed(found))
            }
          }
          waiting.add(look)
          look()
        })
      return { child, until }
    }),
    ({ child }) => Effect.sync(() => void child.kill("SIGKILL"))
  )

/** Freezes one owner again and again, a session each time. */
export const rounds = (
  backend: Backend,
  seed: number,
  count: number,
  tell: () => void
): Effect.Effect<ReadonlyArray<string>, unknown> =>
  Effect.scoped(
    Effect.gen(function* () {
      const it = yield* folder
      yield* backend.prepare(it)
      const wrong: Array<string> = []
      const random = randomOf(seed)
      const isFree = backend.isFree(it)
      const { child, until } = yield* owner({ mode: "zombie", folder: it, server: backend.server })
      const { actors, sessions, store } = yield* startWith(
        { folder: it, store: backend.layer(it), isFirst: false, leases: zombieLeases },
        zombie
      )
      const done = () => linesOf<Deed>(it, "effects").filter(({ pid }) => pid === child.pid)
      const noticed = new Map<string, number>()
      const deedsIn = (id: string) => done().filter(({ key }) => key.startsWith(`["${id}"`)).length
      for (let i = 0; i < count; i++) {
        const id = `z${i}`
        child.stdin.write(`${id}\n`)
        yield* until((told) => ("begun" in told && told.begun === id ? id : undefined))
        // Frozen before its first write it would own nothing.
        while ((yield* store.get(id))?.running === null) yield* Effect.sleep(2)
        yield* Effect.sleep(random() * 40)
        // One that is frozen within a commit has the file, as it would have any lock of SQLite's: nobody can take over.
        for (child.kill("SIGSTOP"); !(yield* isFree); child.kill("SIGSTOP")) {
          child.kill("SIGCONT")
          yield* Effect.sleep(random() * 5)
        }
        const frozen = yield* Effect.fork(Effect.sleep(2 * zombieLeases.duration))
        const session = yield* sessions.open({ id, agent: actors.agent })
        const { text } = yield* session.prompt("next", { onBusy: "wait" })
        if (text !== "ok") wrong.push(`${id}: the prompt after the takeover brought ${JSON.stringify(text)}`)
        const after = (yield* snapshot(store)).get(id)
        yield* Fiber.join(frozen)
        child.kill("SIGCONT")
        const ended = yield* until((told) => ("ended" in told && told.session === id ? told.ended : undefined))
        if (ended !== "StaleLease") wrong.push(`${id}: the owner ended with ${ended}`)
        noticed.set(id, deedsIn(id))
        const now = (yield* snapshot(store)).get(id)
        if (JSON.stringify(now) !== JSON.stringify(after)) wrong.push(`${id}: the owner wrote after it was taken over`)
        tell()
      }
      for (const [id, deeds] of noticed) {
        if (deedsIn(id) !== deeds) wrong.push(`${id}: the owner had ${deedsIn(id) - deeds} effects after it noticed`)
      }
      for (const twice of doubled(linesOf<Deed>(it, "effects"))) wrong.push(`done twice: ${twice}`)
      return wrong
    }).pipe(Effect.timeout("120 seconds"))
  )
