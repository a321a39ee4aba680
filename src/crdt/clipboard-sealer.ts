/**
 * The seam between the clipboard document and its keys: everything that shows what was copied is sealed before it enters
 * a document, and so before it reaches a disk or a peer. The peer implements it with AES-256-GCM.
 */

export interface SealingKey {
  /** 8 bytes, in every record that it sealed. */
  readonly id: Uint8Array
  /** @returns nonce, sealed bytes and tag in one. `authenticated` is not in it, and must be the same to open. */
  seal(plain: Uint8Array, authenticated: Uint8Array): Uint8Array
}

export interface ClipboardSealer {
  /** The key for new items; made and stored where there is none that fits the members of now. */
  current(): Promise<SealingKey>
  /** True when there is a key of this id (16 hex digits). */
  has(keyId: string): boolean
  /** @returns undefined when the key is not here or the bytes are not what it sealed. */
  open(keyId: string, sealed: Uint8Array, authenticated: Uint8Array): Uint8Array | undefined
}
