/**
 * Ids of tree nodes (96 random bits as 16 characters of base64url) and of writers. The first 8 bits of a node id name
 * its shard, so whoever makes an id chooses the shard: entries made together may lie together.
 */
import { digest as sha256 } from 'lib0/hash/sha256'
import { toBase64url } from '../base/base64url.ts'
import type { DeviceId } from '../base/ids.ts'
import type { Random } from '../base/random.ts'

declare const nodeBrand: unique symbol
declare const writerBrand: unique symbol

/** A file, directory or link of a space, whatever its path. */
export type NodeId = string & { readonly [nodeBrand]: 'NodeId' }
/** A device in one incarnation of its store: 8 characters of the device id, 6 of the incarnation. */
export type Writer = string & { readonly [writerBrand]: 'Writer' }

/** The top directory of every space; it has no record. */
// because: 12 zero bytes are an id
export const rootNodeId = 'AAAAAAAAAAAAAAAA' as NodeId

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const nodePattern = /^[A-Za-z0-9_-]{16}$/
const writerPattern = /^[0-9a-z]{14}$/

export const isNodeId = (text: string): text is NodeId => nodePattern.test(text)
export const isWriter = (text: string): text is Writer => writerPattern.test(text)

/** Fresh ids of one shard (0..255). One draw for all: chance by the dozen bytes is slow. */
export function newNodeIds(random: Random, shard: number, count: number): readonly NodeId[] {
  const bytes = random.bytes(count * 12)
  return Array.from({ length: count }, (_, index) => {
    const part = bytes.subarray(index * 12, index * 12 + 12)
    part[0] = shard
    // The top directory's id cannot come up: that would take 88 zero bits
    // because: 12 bytes in base64url
    return toBase64url(part) as NodeId
  })
}

/** The id under which one version of a node becomes a node of its own: the same on every device. */
export function splitNodeId(id: NodeId, writer: Writer, lamport: number): NodeId {
  const hash = sha256(new TextEncoder().encode(`skein split 1|${id}|${writer}|${lamport}`))
  // because: 12 bytes in base64url
  return toBase64url(hash.subarray(0, 12)) as NodeId
}

/** 0..255. */
export function shardOf(id: NodeId): number {
  return (alphabet.indexOf(id.charAt(0)) << 2) | (alphabet.indexOf(id.charAt(1)) >> 4)
}

/** The character that all ids of a shard start with (and those of three others). */
export const firstCharacter = (shard: number): string => alphabet.charAt(shard >> 2)

export function writerOf(device: DeviceId, incarnation: string): Writer {
  // because: 8 + 6 characters of the id alphabet
  return `${device.slice(0, 8)}${incarnation}` as Writer
}

/** Another name of the same device for one event (event-writer.ts): unlike those of all its other events. */
export function aliasOf(writer: Writer, lamport: number): Writer {
  const hash = sha256(new TextEncoder().encode(`skein alias 1|${writer}|${lamport}`))
  const part = [...hash.subarray(0, 6)].map((byte) => (byte % 36).toString(36)).join('')
  // because: 8 + 6 characters of the id alphabet
  return `${writer.slice(0, 8)}${part}` as Writer
}

/** What of a writer stands in the names of conflict copies: six characters of its device id. */
export const deviceShort = (writer: Writer): string => writer.slice(0, 6)
