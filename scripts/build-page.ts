/**
 * Builds the page of the web console into dist/page: bundled, named by content, compressed beforehand. Runs with
 * `npm install` and before tests and benches; when nothing changed it ends in a moment. `--force` builds anyway.
 */
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'

const root = new URL('..', import.meta.url).pathname
const target = join(root, 'dist/page')
const sources = ['src/console/web', 'scripts/build-page.ts', 'package.json', 'src/base/printable.ts']

/** @returns whether the page is there now; false without the builder (an install without development parts). */
export async function buildPage(isForced = false): Promise<boolean> {
  if (!isForced && (await isFresh())) return true
  let esbuild
  try {
    esbuild = await import('esbuild')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND') return false
    throw error
  }
  const result = await esbuild.build({
    absWorkingDir: root,
    entryPoints: { page: 'src/console/web/main.tsx' },
    bundle: true,
    splitting: true,
    format: 'esm',
    target: 'es2023',
    minify: true,
    write: false,
    metafile: true,
    outdir: target,
    entryNames: '[name]-[hash]',
    chunkNames: '[name]-[hash]',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    logLevel: 'warning',
    define: { 'process.env.NODE_ENV': '"production"' },
  })
  const files = new Map(
    result.outputFiles.map(({ path, contents }) => [path.slice(target.length + 1), contents]),
  )
  const icon = await readFile(join(root, 'src/console/web/icon.svg'))
  const iconName = `icon-${createHash('sha256').update(icon).digest('hex').slice(0, 8)}.svg`
  files.set(iconName, icon)
  const script = [...files.keys()].find((name) => /^page-.*\.js$/.test(name))
  const style = [...files.keys()].find((name) => /^page-.*\.css$/.test(name))
  if (script === undefined || style === undefined) throw new Error('the page has no script or no style')
  files.set('index.html', Buffer.from(indexOf(script, style, iconName)))
  await replaceTarget(files)
  return true
}

const indexOf = (script: string, style: string, icon: string): string => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Skein</title>
<link rel="icon" href="/${icon}">
<link rel="stylesheet" href="/${style}">
<script type="module" src="/${script}"></script>
<body>
<div id="page"><header><div class="brand"><span class="logo" aria-hidden="true">≋</span><strong>Skein</strong></div></header></div>
<noscript>This page needs JavaScript. The same is in the terminal: skein help</noscript>
</body>
</html>
`

/** Written beside and moved into place: whoever reads meanwhile sees the old page or the new one. */
async function replaceTarget(files: ReadonlyMap<string, Uint8Array>): Promise<void> {
  await mkdir(join(root, 'dist'), { recursive: true })
  const fresh = await mkdtemp(join(root, 'dist/page-'))
  for (const [name, contents] of files) {
    await writeFile(join(fresh, name), contents)
    await writeFile(join(fresh, `${name}.gz`), gzipSync(contents, { level: 9 }))
    const params = { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY }
    await writeFile(join(fresh, `${name}.br`), brotliCompressSync(contents, { params }))
  }
  await rm(target, { recursive: true, force: true })
  try {
    await rename(fresh, target)
  } catch (error) {
    // because: another build was as fast, and made the same
    await rm(fresh, { recursive: true, force: true })
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOTEMPTY')) throw error
  }
}

async function isFresh(): Promise<boolean> {
  try {
    const built = (await stat(join(target, 'index.html'))).mtimeMs
    const times = await Promise.all(sources.map((path) => newest(join(root, path))))
    return Math.max(...times) < built
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false
    throw error
  }
}

async function newest(path: string): Promise<number> {
  const found = await stat(path)
  if (!found.isDirectory()) return found.mtimeMs
  const inside = await Promise.all((await readdir(path)).map((name) => newest(join(path, name))))
  return Math.max(found.mtimeMs, ...inside)
}

if (import.meta.main && !(await buildPage(process.argv.includes('--force'))))
  console.error('build-page: esbuild is not installed, so the console has no page')
