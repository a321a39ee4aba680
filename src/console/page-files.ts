/**
 * The files of the page, as built by scripts/build-page.ts: all of them in memory, found by their exact path and by
 * nothing else, so that no request reaches the disk. Each is there compressed; those with a hash in the name never change.
 */
import { readdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

export interface PageFile {
  readonly type: string
  readonly cacheControl: string
  readonly plain: Uint8Array
  readonly brotli: Uint8Array
  readonly gzip: Uint8Array
}

/** By path, such as `/` and `/page-4F2A.js`. Empty when the page was never built. */
export type PageFiles = ReadonlyMap<string, PageFile>

/** The same place from the sources and from the built package. */
const root = import.meta.url.endsWith('.ts') ? '../../' : '../../../'
const pageFolder = fileURLToPath(new URL(`${root}dist/page/`, import.meta.url))

const types: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
}

export async function readPageFiles(folder: string = pageFolder): Promise<PageFiles> {
  let names: readonly string[]
  try {
    names = await readdir(folder)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return new Map()
    throw error
  }
  const files = new Map<string, PageFile>()
  for (const name of names) {
    const type = types[/\.([a-z]+)$/.exec(name)?.[1] ?? '']
    if (type === undefined) continue
    const isPage = name === 'index.html'
    files.set(isPage ? '/' : `/${name}`, {
      type,
      cacheControl: isPage ? 'no-cache' : 'public, max-age=31536000, immutable',
      plain: await readFile(`${folder}/${name}`),
      brotli: await readFile(`${folder}/${name}.br`),
      gzip: await readFile(`${folder}/${name}.gz`),
    })
  }
  return files
}
