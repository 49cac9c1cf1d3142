/**
 * The tree of a session that is stored.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { type CorruptRecord, InvalidInput, SessionNotFound, type SessionStoreError } from "../../services/Errors.js"
import type { Branch, HistoryTree, Task, TreeOptions } from "../../services/HistoryTree.js"
import * as SessionId from "../../services/SessionId.js"
import { type SessionRow, SessionStore } from "../../services/SessionStore.js"
import { fold } from "./fold.js"

type Store = Context.Tag.Service<SessionStore>

const usualDepth = 1

/**
 * What happened in a session, as far as it is stored when it is read: also while an operation runs. Sessions of its tasks
 * are read to a depth, each once; one that cannot be read is told with the reason. A session of another incarnation than
 * the one that is given is not found. Interruption leaves nothing behind.
 */
export const historyTree = (
  id: string,
  { depth = usualDepth }: TreeOptions = {},
  incarnation?: string
): Effect.Effect<HistoryTree, SessionNotFound | CorruptRecord | InvalidInput | SessionStoreError, SessionStore> =>
  Effect.gen(function* () {
    if (!(depth >= 0)) return yield* new InvalidInput({ path: "depth", reason: "it is not a number from 0 on" })
    const store = yield* SessionStore
    const row = SessionId.isId(id) ? yield* store.get(id) : undefined
    if (row === undefined || (incarnation !== undefined && row.incarnation !== incarnation)) {
      return yield* new SessionNotFound({ session: SessionId.told(id) })
    }
    return yield* read(store, row, depth, new Set())
  })

const read = (
  store: Store,
  row: SessionRow,
  depth: number,
  seen: Set<string>
): Effect.Effect<HistoryTree, CorruptRecord | SessionStoreError> =>
  Effect.suspend(() => {
    seen.add(row.id)
    return Effect.flatMap(store.read(row.id, row.incarnation, 1), (entries) => {
      const tree = fold(row, entries)
      return depth < 1 ? Effect.succeed(tree) : withChildren(store, tree, depth, seen)
    })
  })

/** The tree with the sessions of its tasks. The fold is nobody else's yet: they are put where they belong. */
const withChildren = (
  store: Store,
  tree: HistoryTree,
  depth: number,
  seen: Set<string>
): Effect.Effect<HistoryTree, SessionStoreError> =>
  Effect.gen(function* () {
    for (const task of tasksOf(tree)) {
      // A fork names the tasks of the session that it was forked from.
      if (seen.has(task.child) || !SessionId.isId(task.child)) continue
      const row = yield* store.get(task.child)
      if (row === undefined) continue
      const found = yield* Effect.either(read(store, row, depth - 1, seen))
      if (found._tag === "Right") task.session = found.right
      else if (found.left._tag === "CorruptRecord") task.problem = found.left.message
      else return yield* found.left
    }
    return tree
  })

const tasksOf = ({ trunk }: HistoryTree): ReadonlyArray<{ -readonly [K in keyof Task]: Task[K] }> => {
  const tasks: Array<Task> = []
  for (const waiting: Array<Branch> = [trunk]; waiting.length > 0;) {
    const { branches, steps } = waiting.pop()!
    waiting.push(...branches)
    for (const step of steps) {
      tasks.push(...step.tasks)
      waiting.push(...step.branches)
    }
  }
  return tasks
}
