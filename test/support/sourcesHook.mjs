// Resolves what the sources name as `.js` to their `.ts`, and takes the types away.
import { existsSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const sources = new URL("../../src/", import.meta.url).href

export const resolve = (specifier, context, next) => {
  const url = URL.canParse(specifier, context.parentURL) ? new URL(specifier, context.parentURL).href : specifier
  const source = url.replace(/\.js$/, ".ts")
  if (!url.startsWith(sources) || !existsSync(fileURLToPath(source))) return next(specifier, context)
  return { url: source, format: "module", shortCircuit: true }
}

export const load = async (url, context, next) => {
  if (!url.startsWith(sources) || !url.endsWith(".ts")) return next(url, context)
  const { transform } = await import("esbuild")
  const file = fileURLToPath(url)
  const { code } = await transform(readFileSync(file, "utf8"), { loader: "ts", sourcefile: file, sourcemap: "inline" })
  return { format: "module", source: code, shortCircuit: true }
}
