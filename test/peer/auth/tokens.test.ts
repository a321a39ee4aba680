import { SignJWT } from 'jose'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createMemoryKeep } from '../../../src/base/keep.ts'
import { limits } from '../../../src/base/limits.ts'
import { coversScope, isCovered, parseScope } from '../../../src/peer/auth/token-scope.ts'
import { createTokens } from '../../../src/peer/auth/tokens.ts'
import { createDevice, createHostSide, longMeans, pair } from './pairing-world.ts'

const hourMs = 3_600_000

async function world() {
  const side = await createHostSide(1)
  const guest = await createDevice(2)
  side.window.open()
  await pair(side, guest, longMeans(side))
  const { env, identity, roster } = side.device
  const keep = createMemoryKeep()
  const tokens = await createTokens(env, keep, identity, roster)
  const holder = { device: guest.identity.deviceId }
  const audience = identity.deviceId
  const mint = (scopes: readonly string[], lifeMs = hourMs) =>
    tokens.mint({ held: scopes, wanted: scopes, audience, holder, lifeMs })
  const check = { audience, holder, need: 'status:read' }
  return { side, guest, env, identity, roster, keep, tokens, holder, audience, mint, check }
}

const refusedBy = (code: string) => expect.objectContaining({ code })

test('a token does what it says for its holder, and nothing else for nobody else', async () => {
  const { tokens, mint, check, holder, side } = await world()
  const token = await mint(['status:read', 'file:read:/share/**'])
  expect(await tokens.verify(token, check)).toMatchObject({
    holder,
    scopes: ['status:read', 'file:read:/share/**'],
  })
  await expect(tokens.verify(token, { ...check, need: 'file:read:/share/a/b' })).resolves.toBeDefined()
  for (const need of [
    'file:read:/other',
    'file:read:/sharex',
    'file:write:/share/a',
    'file:read',
    'file:read:/share/../etc',
    'nonsense',
  ]) {
    await expect(tokens.verify(token, { ...check, need })).rejects.toEqual(refusedBy('auth.denied'))
  }
  await expect(tokens.verify(token, { ...check, audience: 'mesh:other' })).rejects.toEqual(
    refusedBy('auth.invalid'),
  )
  await expect(
    tokens.verify(token, { ...check, holder: { device: side.device.identity.deviceId } }),
  ).rejects.toEqual(refusedBy('auth.denied'))
  await expect(tokens.verify(token, { ...check, holder: { session: holder.device } })).rejects.toEqual(
    refusedBy('auth.denied'),
  )
})

test('it ends by time, by its id for good, and with the roster', async () => {
  const { tokens, mint, check, env, keep, identity, roster, guest } = await world()
  const short = await mint(['status:read'], 10_000)
  env.clock.advance(11_000)
  await expect(tokens.verify(short, check)).rejects.toEqual(refusedBy('auth.expired'))
  const token = await mint(['status:read'])
  const { jti, expiresMs } = await tokens.verify(token, check)
  await tokens.revoke(jti, expiresMs)
  await expect(tokens.verify(token, check)).rejects.toEqual(refusedBy('auth.denied'))
  const reopened = await createTokens(env, keep, identity, roster)
  await expect(reopened.verify(token, check)).rejects.toEqual(refusedBy('auth.denied'))
  const another = await mint(['status:read'])
  await roster.remove(guest.identity.deviceId)
  await expect(tokens.verify(another, check)).rejects.toEqual(refusedBy('auth.denied'))
})

test('it ends with the key that signed it, at once when the rotation has no overlap', async () => {
  const { tokens, mint, check, roster } = await world()
  const token = await mint(['status:read'])
  await roster.rotate(0)
  await expect(tokens.verify(token, check)).rejects.toEqual(refusedBy('auth.denied'))
  await expect(tokens.verify(await mint(['status:read']), check)).resolves.toBeDefined()
})

test('other algorithms, types, lives, keys and bindings are refused', async () => {
  const { tokens, check, identity, guest, env, audience, holder } = await world()
  const nowS = Math.floor(env.clock.nowMs() / 1000)
  const build = (
    change: { header?: object; claims?: object; lifeS?: number; atS?: number; issuer?: string },
    key = identity.key,
  ) =>
    new SignJWT({ scopes: ['status:read'], cnf: holder, ...change.claims })
      .setProtectedHeader({ alg: 'EdDSA', typ: 'skein+jwt', kid: key.peerId, ...change.header })
      .setIssuer(change.issuer ?? identity.deviceId)
      .setAudience(audience)
      .setIssuedAt(change.atS ?? nowS)
      .setExpirationTime((change.atS ?? nowS) + (change.lifeS ?? 60))
      .setJti('0'.repeat(26))
      .sign(key.privateKey)
  await expect(tokens.verify(await build({}), check)).resolves.toBeDefined()
  const bad = [
    build({ header: { typ: 'JWT' } }),
    build({ lifeS: limits.tokenLifeMs / 1000 + 1 }),
    build({ atS: nowS + 3600 }),
    build({ claims: { cnf: {} } }),
    build({ claims: { cnf: { ...holder, session: 'x' } } }),
    build({ claims: { scopes: 'status:read' } }),
    build({ header: { kid: guest.peerId } }),
  ]
  for (const token of bad)
    await expect(tokens.verify(await token, check)).rejects.toEqual(refusedBy('auth.invalid'))
  // A member signs with its own key in the name of another: the key is sound, the issuer is not its device
  await expect(tokens.verify(await build({}, guest.identity.key), check)).rejects.toEqual(
    refusedBy('auth.denied'),
  )
  const [, payload] = (await build({})).split('.')
  const none = `${Buffer.from(JSON.stringify({ alg: 'none', typ: 'skein+jwt', kid: identity.key.peerId })).toString('base64url')}.${payload}.`
  await expect(tokens.verify(none, check)).rejects.toEqual(refusedBy('auth.invalid'))
  await expect(tokens.verify('a.b.c', check)).rejects.toEqual(refusedBy('auth.invalid'))
  await expect(tokens.verify('x'.repeat(limits.tokenBytes + 1), check)).rejects.toEqual(
    refusedBy('auth.invalid'),
  )
})

const part = fc.constantFrom('a', 'b', '..', '.', '', '**', '*', 'share', 'é')
const scopeText = fc
  .tuple(
    fc.constantFrom('file:read', 'file:write', 'status:read'),
    fc.option(fc.array(part, { maxLength: 4 })),
    fc.boolean(),
  )
  .map(([name, path, isTree]) => (path === null ? name : `${name}:/${path.join('/')}${isTree ? '/**' : ''}`))

test('what is minted is always a subset of what is held, and is refused otherwise', async () => {
  const { tokens, audience, holder, check } = await world()
  await fc.assert(
    fc.asyncProperty(
      fc.array(scopeText, { maxLength: 4 }),
      fc.array(scopeText, { minLength: 1, maxLength: 3 }),
      scopeText,
      async (held, wanted, need) => {
        const token = await tokens
          .mint({ held, wanted, audience, holder, lifeMs: hourMs })
          .catch(() => undefined)
        const isSubset = wanted.every((scope) => isCovered(scope, held))
        expect(token !== undefined).toBe(isSubset)
        if (token === undefined) return
        const isAllowed = await tokens.verify(token, { ...check, need }).then(
          () => true,
          () => false,
        )
        // Whatever the token opens its minter could have opened
        if (isAllowed) expect(isCovered(need, held)).toBe(true)
      },
    ),
    { numRuns: 300 },
  )
})

test('cover is a partial order that never climbs out of a path', () => {
  fc.assert(
    fc.property(scopeText, scopeText, scopeText, (a, b, c) => {
      const [x, y, z] = [parseScope(a), parseScope(b), parseScope(c)]
      if (x === undefined || y === undefined || z === undefined) return
      expect(coversScope(x, x)).toBe(true)
      if (coversScope(x, y) && coversScope(y, z)) expect(coversScope(x, z)).toBe(true)
    }),
    { numRuns: 2000 },
  )
  expect(parseScope('file:read:/a/../b')).toBeUndefined()
  expect(parseScope('file:read:/a//b')).toBeUndefined()
  expect(parseScope('file:read:a')).toBeUndefined()
  expect(isCovered('file:read:/share', ['file:read:/share/**'])).toBe(true)
  expect(isCovered('file:read:/share/**', ['file:read:/share'])).toBe(false)
  expect(isCovered('file:read', ['file:read:/**'])).toBe(false)
})
