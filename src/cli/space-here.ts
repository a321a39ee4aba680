/** The shared folder that a person means, among those on this device. */
import { SkeinError } from '../base/errors.ts'
import type { SpaceStatus } from '../peer/api-spaces.ts'
import type { Client } from './client.ts'

/** By name, id, or the start of an id. @throws `not.found`. */
export async function findSpaceHere(client: Client, wanted: string): Promise<SpaceStatus> {
  const here = (await client.call('spaces', {})).filter(({ directory }) => directory !== undefined)
  const found = here.filter(({ name, id }) => name === wanted || id.startsWith(wanted))
  const [only, second] = found
  if (only !== undefined && second === undefined) return only
  throw new SkeinError('not.found', `no one shared folder here is called ${JSON.stringify(wanted)}`, {
    fix: here.length === 0 ? 'skein spaces lists them' : `one of: ${here.map(({ name }) => name).join(', ')}`,
  })
}
