#!/usr/bin/env node
// Entry of the `skein` command. It looks at the Node version before anything newer is loaded, so this file
// stays plain JavaScript that old Nodes can parse: no top-level await, no `node:` specifiers, no optional chaining.
import { existsSync } from 'fs'
import * as module from 'module'
import { homedir } from 'os'
import { join } from 'path'

const neededMajor = 24
const neededMinor = 12

/** @returns {boolean} whether this Node can run Skein's sources. */
function isNewEnough() {
  const found = process.versions.node.split('.').map(Number)
  const major = found[0] || 0
  const minor = found[1] || 0
  return major > neededMajor || (major === neededMajor && minor >= neededMinor)
}

/** As compileCachePath() in src/program/program.ts, which cannot be imported before the version is known. */
function cachePath() {
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'skein', 'compiled')
  if (process.platform === 'win32') {
    return join(process.env['LOCALAPPDATA'] || join(homedir(), 'AppData', 'Local'), 'skein', 'compiled')
  }
  const cache = process.env['XDG_CACHE_HOME']
  return join(cache && cache[0] === '/' ? cache : join(homedir(), '.cache'), 'skein', 'compiled')
}

/** @returns {Promise<void>} settles when the command has ended; `main` gives the exit code. */
function start() {
  // Compiled code is kept between starts, in a directory of this user alone: the default one under the shared
  // temporary directory could have been laid there by somebody else. A read-only home only means a slower start.
  if (module.enableCompileCache) module.enableCompileCache(cachePath())
  const source = new URL('../src/cli/main.ts', import.meta.url)
  const built = new URL('../dist/src/cli/main.js', import.meta.url)
  const entry = existsSync(source) ? source : built
  return import(entry.href).then(function (cli) {
    if (typeof cli.main !== 'function') return undefined
    return Promise.resolve(cli.main(process.argv.slice(2))).then(function (code) {
      if (typeof code === 'number') process.exitCode = code
    })
  })
}

if (isNewEnough()) {
  start().catch(function (error) {
    console.error(error)
    process.exit(1)
  })
} else {
  console.error(
    'skein: needs Node ' +
      neededMajor +
      '.' +
      neededMinor +
      ' or newer, but this is Node ' +
      process.versions.node +
      '.\n' +
      'Either run it inside the checkout with its own Node:  npm run -s skein -- ' +
      process.argv.slice(2).join(' ') +
      '\n' +
      'or install Node 24 (https://nodejs.org/en/download) and start skein again.',
  )
  process.exit(1)
}
