/** From what a person names, a space or a path, to the space and the place in it; and which directories can be spaces. */
import { mkdir, realpath, stat } from 'node:fs/promises'
import { isAbsolute, relative, resolve, sep } from 'node:path'
import { SkeinError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { SpaceSetting } from '../crdt/settings.ts'

/** @throws `usage`. */
export function checkSpaceName(name: string): string {
  if (/\S/.test(name) && new TextEncoder().encode(name).byteLength <= limits.nameBytes) return name
  throw new SkeinError('usage', 'this is not a usable name for a space', {
    fix: `--name with 1 to ${limits.nameBytes} bytes`,
  })
}

/** @param others directories of spaces. @throws `usage`, `not.found` for a directory that cannot be a space. */
export async function checkDirectory(
  home: string,
  given: string,
  others: readonly string[],
  rule: 'must exist' | 'may be made',
): Promise<string> {
  if (!isAbsolute(given)) throw new SkeinError('usage', `${given} is not an absolute path`)
  const path = resolve(given)
  const overlaps = (other: string): boolean =>
    path === other || path.startsWith(other + sep) || other.startsWith(path + sep)
  if (overlaps(home))
    throw new SkeinError('usage', 'the home of Skein itself cannot be shared', {
      fix: 'choose another directory',
    })
  for (const directory of others) {
    if (overlaps(directory))
      throw new SkeinError('usage', `it overlaps with the space in ${directory}`, {
        fix: 'choose another directory',
      })
  }
  if (rule === 'may be made') await mkdir(path, { recursive: true })
  const found = await stat(path).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw new SkeinError('usage', `${path} cannot be used`, { cause: error, fix: 'check its permissions' })
  })
  if (found === undefined)
    throw new SkeinError('not.found', `there is no ${path}`, { fix: `mkdir -p '${path}'` })
  if (!found.isDirectory())
    throw new SkeinError('usage', `${path} is not a directory`, {
      fix: 'name a directory; all below it is shared',
    })
  return path
}

/** By id, an unambiguous start of one, or an exact name. @throws `not.found`, `usage`. */
export function findSpace(spaces: readonly SpaceSetting[], wanted: string): SpaceSetting {
  const exact = spaces.filter((space) => space.id === wanted || space.name === wanted)
  const found =
    exact.length > 0 ? exact : spaces.filter((space) => wanted.length >= 4 && space.id.startsWith(wanted))
  const [first, second] = found
  if (first === undefined)
    throw new SkeinError('not.found', `no space is called ${JSON.stringify(wanted)}`, {
      fix: 'skein spaces lists them',
    })
  if (second !== undefined)
    throw new SkeinError('usage', `${JSON.stringify(wanted)} names ${found.length} spaces`, {
      fix: 'use the id: skein spaces --json shows it',
    })
  return first
}

/**
 * The one of `held` whose directory holds the path, and the path below it, composed (NFC), '' for the root itself. The
 * path need not exist. @throws `usage`.
 */
export async function locate<T extends { readonly directory: string }>(
  held: Iterable<T>,
  path: string,
): Promise<{ readonly held: T; readonly path: string }> {
  for (const one of held) {
    // A person may stand in the directory by a way through symlinks
    const real = await realpath(one.directory).catch(() => one.directory)
    for (const root of new Set([one.directory, real])) {
      const below = relative(root, path)
      const isInside = below === '' || (below !== '..' && !below.startsWith(`..${sep}`) && !isAbsolute(below))
      if (isInside) return { held: one, path: below.split(sep).join('/').normalize('NFC') }
    }
  }
  throw new SkeinError('usage', `${path} lies in no shared folder of this device`, {
    fix: 'skein spaces lists the folders',
  })
}
