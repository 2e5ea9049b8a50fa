/**
 * Certificates for servers of a test.
 *
 * @module
 */
import { run } from "./foreign_server.ts";

/** Makes a certificate for `localhost`, and the one that vouches for it. */
export async function makeCertificates(folder: string): Promise<void> {
  const key = ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  await Deno.writeTextFile(
    `${folder}/names`,
    "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n",
  );
  // deno-fmt-ignore
  await run(
    "openssl", "req", "-x509", "-newkey", ...key, "-days", "2", "-subj", "/CN=Test",
    "-keyout", `${folder}/ca.key`, "-out", `${folder}/ca.pem`,
  );
  // deno-fmt-ignore
  await run(
    "openssl", "req", "-newkey", ...key, "-subj", "/CN=localhost",
    "-keyout", `${folder}/site.key`, "-out", `${folder}/site.csr`,
  );
  // deno-fmt-ignore
  await run(
    "openssl", "x509", "-req", "-in", `${folder}/site.csr`, "-days", "2", "-extfile", `${folder}/names`,
    "-CA", `${folder}/ca.pem`, "-CAkey", `${folder}/ca.key`, "-CAcreateserial", "-out", `${folder}/site.pem`,
  );
}
