// import() from here resolves in this folder's node_modules
export const load = (spec) => import(spec)
