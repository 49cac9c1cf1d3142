/**
 * A tree of sessions under another name.
 */
import type { Entry } from "../../services/Entry.js"
import * as SessionId from "../../services/SessionId.js"
import type { Read } from "./Reading.js"

/**
 * The same sessions with another name for the first: those below it are named under it, and what their entries say of
 * their tasks' sessions says so. Where the first was a task's session it is none any more. Other names stay: those of
 * sessions that are not of the tree, and whatever a model was told.
 */
export const renamed = ([root, ...below]: ReadonlyArray<Read>, as: string): ReadonlyArray<Read> => {
  if (root === undefined) return []
  const names = new Map([[root.told.id, as]])
  for (const { told } of below) {
    const parent = told.parent!
    names.set(told.id, SessionId.child(names.get(parent)!, told.id.slice(SessionId.child(parent, "").length)))
  }
  return [root, ...below].map((read) => {
    const { told } = read
    const prefix = SessionId.child(told.id, "")
    const nameOf = (id: string): string => {
      const known = names.get(id)
      if (known !== undefined || !id.startsWith(prefix)) return known ?? id
      // The session of one of its tasks, which was removed.
      const own = id.slice(prefix.length)
      return own === "" || own.includes(":") ? id : SessionId.child(names.get(told.id)!, own)
    }
    const parent = told === root.told ? null : names.get(told.parent!)!
    return {
      ...read,
      told: { ...told, id: names.get(told.id)!, parent, depth: told.depth - root.told.depth },
      entries: read.entries.map((entry) => entryAs(entry, nameOf))
    }
  })
}

const entryAs = (entry: Entry, nameOf: (id: string) => string): Entry => {
  switch (entry._tag) {
    case "TaskLink":
    case "TaskSettled":
      return { ...entry, child: nameOf(entry.child) }
    case "OperationSettled": {
      const { by, kind, value } = entry
      const isTask = kind === "task" && typeof value === "object" && value !== null
      const session = isTask && "session" in value && typeof value.session === "string" ? value.session : undefined
      return {
        ...entry,
        ...(typeof by === "object" ? { by: { ...by, session: nameOf(by.session) } } : undefined),
        ...(session === undefined ? undefined : { value: { ...(value as object), session: nameOf(session) } })
      }
    }
    default:
      return entry
  }
}
