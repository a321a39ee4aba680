/**
 * The spaces that this device was granted, where it may not read the list of all of them: asked of the full devices in
 * reach, and kept for when none is. RPC: `space.granted` {} -> {spaces}, those that the asking device may read.
 */
import type { Validator } from '../base/codec.ts'
import { array, decodeCanonical, encodeCanonical, integer, object, text, textOf } from '../base/codec.ts'
import type { Env } from '../base/env.ts'
import { SkeinError } from '../base/errors.ts'
import type { DeviceId } from '../base/ids.ts'
import { isDeviceId, isSpaceId } from '../base/ids.ts'
import type { Keep } from '../base/keep.ts'
import { limits } from '../base/limits.ts'
import { errorFields } from '../base/log.ts'
import type { RpcMethods } from '../base/rpc-methods.ts'
import type { Scope } from '../base/scope.ts'
import type { Settings, SpaceSetting } from '../crdt/settings.ts'
import type { Keeper } from '../discovery/keeper.ts'
import type { LinkRemote } from '../discovery/line.ts'
import { may } from './auth/access.ts'
import type { Roster } from './auth/roster.ts'

export interface GrantedParts {
  readonly keep: Keep
  readonly self: DeviceId
  readonly roster: Roster
  readonly keeper: Pick<Keeper, 'rpc' | 'status'>
  readonly methods: RpcMethods<LinkRemote>
}

const askMs = 2_000
/** An answer is believed for so long. */
const freshMs = 1_000
const recordName = 'granted-spaces'
const spacesShape: Validator<readonly SpaceSetting[]> = array(
  object({
    id: textOf(isSpaceId, 'a space id'),
    name: text(limits.nameBytes, /\S/),
    createdBy: textOf(isDeviceId, 'a device id'),
    createdAtMs: integer(),
  }),
  limits.spaces,
)
const answerShape = object({ spaces: spacesShape })
const recordBytes = limits.spaces * 512

/** Answers others, and gives the settings as this device may see them. */
export async function openGrantedSpaces(
  env: Env,
  scope: Scope,
  parts: GrantedParts,
  settings: Settings,
): Promise<Settings> {
  const { keep, self, roster, keeper, methods } = parts
  const stored = await keep.read(recordName)
  let granted = stored === undefined ? [] : decodeCanonical(stored, spacesShape, recordBytes)
  let askedMs = -Infinity
  scope.own(
    methods.request('space.granted', object({}), async (_params, call) => {
      const { deviceId } = call.remote
      const all = await settings.spaces()
      const spaces = all.filter(({ id }) => may(roster.state, deviceId, 'space.read', id).allowed)
      return { value: { spaces } }
    }),
  )
  const refresh = async (): Promise<void> => {
    if (env.clock.monotonicMs() - askedMs < freshMs) return
    askedMs = env.clock.monotonicMs()
    for (const { deviceId, state } of keeper.status()) {
      // Who may not read all of them cannot say which
      if (state !== 'up' || !may(roster.state, deviceId, 'doc.read').allowed) continue
      try {
        const answer = await keeper
          .rpc(deviceId)
          ?.call('space.granted', {}, answerShape, { timeoutMs: askMs })
        if (answer === undefined) continue
        if (JSON.stringify(answer.spaces) !== JSON.stringify(granted))
          await keep.write(recordName, encodeCanonical(answer.spaces))
        granted = answer.spaces
        return
      } catch (error) {
        // because: one that is older, gone or says nonsense leaves what was known before
        env.log.debug('device not asked for granted spaces', { deviceId, ...errorFields(error) })
      }
    }
  }
  const isFull = (): boolean => may(roster.state, self, 'doc.read').allowed
  return {
    ...settings,
    async spaces() {
      if (isFull()) return await settings.spaces()
      await refresh()
      return granted.filter(({ id }) => may(roster.state, self, 'space.read', id).allowed)
    },
    putSpace(space) {
      if (isFull()) return settings.putSpace(space)
      throw new SkeinError('auth.denied', 'this device may not share folders: it is no full device', {
        fix: 'share it on a full device, then skein grant THIS --role limited --space NAME there',
      })
    },
  }
}
