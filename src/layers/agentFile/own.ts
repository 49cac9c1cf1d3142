/**
 * The packages of this executable, for files that have none of their own.
 */
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

/** Where `effect` and this package are, by their names. */
const folders = (): Readonly<Record<string, string>> => ({
  effect: path.dirname(createRequire(import.meta.url).resolve("effect/package.json")),
  "effect-baton": fileURLToPath(new URL("../../..", import.meta.url))
})

/** Every module of those that a file would not find, by the name that it is imported by. */
export const ownModules = (file: string): Record<string, string> => {
  const near = createRequire(file)
  const modules: Record<string, string> = {}
  for (const [name, folder] of Object.entries(folders())) {
    if (isFound(near, `${name}/package.json`)) continue
    const { exports } = JSON.parse(fs.readFileSync(path.join(folder, "package.json"), "utf8")) as { exports: object }
    for (const [subpath, target] of Object.entries(exports)) {
      const module = moduleOf(target)
      if (module !== undefined) modules[name + subpath.slice(1)] = path.join(folder, module)
    }
  }
  return modules
}

const isFound = (near: NodeJS.Require, name: string): boolean => {
  try {
    near.resolve(name)
    return true
  } catch {
    return false
  }
}

/** The ES module of an export; the executable has loaded the same. */
const moduleOf = (target: unknown): string | undefined => {
  if (typeof target === "string") return target
  if (typeof target !== "object" || target === null) return undefined
  const { default: otherwise, import: module } = target as { readonly default?: unknown; readonly import?: unknown }
  return moduleOf(module) ?? moduleOf(otherwise)
}
