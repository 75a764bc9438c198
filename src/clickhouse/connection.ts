/** Compression of blocks on the network, by the names of HTTP's content codings (RFC 9110, section 8.4.1). */
export const COMPRESSIONS = ["none", "zstd", "gzip"] as const;

export type Compression = (typeof COMPRESSIONS)[number];

/** Certificates in PEM (RFC 7468); null: none of that kind. */
export interface TlsCertificates {
  /** Authorities that are trusted beside the system's. */
  readonly authorities: string | null;
  /** What this program shows to a server that requires it, and its key. */
  readonly client: { readonly certificate: string; readonly key: string } | null;
}

/** An HTTP proxy between this program and the server. */
export interface ProxySettings {
  readonly host: string;
  readonly port: number;
  /** `user:password` for the proxy; null: none. */
  readonly credentials: string | null;
}

/** Where the server is, and the user. The password never appears in messages. */
export interface ConnectionSettings {
  /** With protocol, `http://` or `https://`. */
  readonly url: string;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** Certificates beside those of the system, as PEM. */
  readonly tls?: TlsCertificates;
  /** Connections to the server go through it. */
  readonly proxy?: ProxySettings;
  /** Of blocks of rows, in both directions; none unless given. */
  readonly compression?: Compression;
  /** How long a server may stay silent during a request; 5 minutes unless given. */
  readonly stallTimeoutMs?: number;
  /** How long a silence lasts until it is reported; 20 seconds unless given. */
  readonly quietAfterMs?: number;
}
