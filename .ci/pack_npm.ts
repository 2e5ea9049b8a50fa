/**
 * Makes the packages for npm: `deno task npm [FOLDER]` writes their tarballs to
 * `npm/`, or the folder. `GITHUB_REPOSITORY` is the repository that they name.
 *
 * @module
 */
import { buildPackages } from "./npm/build.ts";

const [folder = "npm"] = Deno.args;
const repository = Deno.env.get("GITHUB_REPOSITORY");
const server = Deno.env.get("GITHUB_SERVER_URL") ?? "https://github.com";
const temporary = await Deno.makeTempDir({ prefix: "rivulet-" });
try {
  const packages = await buildPackages(
    temporary,
    repository === undefined ? undefined : `${server}/${repository}`,
  );
  await Deno.mkdir(folder, { recursive: true });
  for (const { tarball, entries, dependencies } of packages) {
    const path = `${folder}/${tarball.slice(tarball.lastIndexOf("/") + 1)}`;
    await Deno.copyFile(tarball, path);
    const { size } = await Deno.stat(path);
    console.log(
      `${path} (${Math.ceil(size / 1_024)} KiB): ${entries.join(", ")}; ` +
        `depends on ${dependencies.join(", ") || "nothing"}`,
    );
  }
} finally {
  await Deno.remove(temporary, { recursive: true });
}
