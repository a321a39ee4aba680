/** P22: no path that a folder gives to its disk leads out of the root, whatever names come from other devices. */
import type { Filesystem } from '../../../src/files/filesystem.ts'

/** A path below the root: components that are names, '' for the root itself. */
export const isContained = (path: string): boolean =>
  path === '' ||
  (!path.includes('\0') && path.split('/').every((name) => name !== '' && name !== '.' && name !== '..'))

/** The disk, with an eye on the paths. */
export function watchPaths(disk: Filesystem, onFault: (what: string) => void): Filesystem {
  return new Proxy(disk, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key)
      if (typeof value !== 'function') return value
      return (...given: readonly unknown[]): unknown => {
        // The target of a link is data
        const paths = (key === 'makeSymlink' ? given.slice(1) : given).flat()
        const wrong = paths.find((path) => typeof path === 'string' && pathLike(key) && !isContained(path))
        if (wrong !== undefined)
          onFault(`${String(key)} of ${JSON.stringify(wrong)}, which is no path below the root`)
        return Reflect.apply(value, target, given)
      }
    },
  })
}

/** Attributes are text as well. */
const pathLike = (key: string | symbol): boolean => key !== 'writeAttributes'
