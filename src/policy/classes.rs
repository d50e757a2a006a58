//! Classes of a path: what a change there can do, judged by the path alone.
//!
//! The tables are in the dialect of [`super::pattern`] and match a path as it is or folded.
//! `pipeline` holds the definitions of every CI system that reads them from the repository, and
//! the files that build tools execute or obey without being told to ("Living Off The Pipeline",
//! <https://boostsecurityio.github.io/lotp/>). Tests and lock files stay `code`. `config` is what
//! is deployed rather than compiled.

use std::collections::{BTreeMap, HashMap};
use std::sync::{LazyLock, Mutex, PoisonError};

use crate::wire::name::RepoPath;

use super::pattern::Names;
use super::{Class, Pattern, any_match, folded};

/// The most paths whose classes are kept; more, and all are forgotten.
const MOST: usize = 16_384;
/// The longest path whose classes are kept, in bytes.
const LONG: usize = 256;

/// Where a forge looks for owners: GitHub, GitLab, Gitea and Forgejo.
pub const OWNERS_FILES: &[&str] = &[
    "CODEOWNERS",
    "docs/CODEOWNERS",
    ".github/CODEOWNERS",
    ".gitlab/CODEOWNERS",
    ".gitea/CODEOWNERS",
    ".forgejo/CODEOWNERS",
];

/// Files that decide who must review, or what a reviewer is shown.
const POLICY: &[&str] = &[
    "/.countersign/",
    "/CODEOWNERS",
    "docs/CODEOWNERS",
    ".github/CODEOWNERS",
    ".gitlab/CODEOWNERS",
    ".gitea/CODEOWNERS",
    ".forgejo/CODEOWNERS",
    ".gitattributes",
    ".mailmap",
    ".gitmodules",
];

/// CI definitions, and what they include by convention.
const DEFINITIONS: &[&str] = &[
    // GitHub, Forgejo, Gitea. The directories themselves too: an entry of that name that is no
    // directory replaces all of it.
    "/.github",
    ".github/workflows/",
    ".github/actions/",
    ".github/dependabot.yml",
    ".github/dependabot.yaml",
    "/.forgejo",
    ".forgejo/workflows/",
    ".forgejo/actions/",
    "/.gitea",
    ".gitea/workflows/",
    ".gitea/actions/",
    "action.yml",
    "action.yaml",
    // GitLab
    ".gitlab-ci.yml",
    ".gitlab-ci.yaml",
    "*.gitlab-ci.yml",
    "*.gitlab-ci.yaml",
    "/.gitlab",
    ".gitlab/**/*.yml",
    ".gitlab/**/*.yaml",
    ".gitlab/ci/",
    "/.gitlab-ci/",
    // Jenkins
    "Jenkinsfile",
    "Jenkinsfile.*",
    "*.jenkinsfile",
    "jenkins.yaml",
    "jenkins.yml",
    "/.jenkins/",
    "/vars/*.groovy",
    // CircleCI, Azure, Buildkite, Drone, Woodpecker
    "/.circleci/",
    "azure-pipelines*.yml",
    "azure-pipelines*.yaml",
    "/.azure-pipelines/",
    "/.azuredevops/",
    "/.pipelines/",
    "/eng/**/*.yml",
    "/.buildkite/",
    "/buildkite.yml",
    "/buildkite.yaml",
    ".drone.yml",
    ".drone.yaml",
    ".drone.jsonnet",
    ".drone.star",
    "/.woodpecker/",
    ".woodpecker.yml",
    ".woodpecker.yaml",
    // Tekton, Bitbucket, Travis, Cirrus, AppVeyor
    "/.tekton/",
    "bitbucket-pipelines.yml",
    ".travis.yml",
    ".cirrus.yml",
    ".cirrus.yaml",
    ".cirrus.star",
    "appveyor.yml",
    ".appveyor.yml",
    // Argo, Prow, Zuul
    ".argocd-source*.yaml",
    ".prow.yaml",
    "/.prow/",
    "zuul.yaml",
    ".zuul.yaml",
    "/zuul.d/",
    "/.zuul.d/",
    "/playbooks/",
    "/roles/",
    // Dagger, Earthly, Cloud Build, sourcehut, and what many call their scripts
    "dagger.json",
    "/.dagger/",
    "Earthfile",
    ".earthly/",
    "cloudbuild*.yaml",
    "cloudbuild*.yml",
    "cloudbuild*.json",
    "/.build.yml",
    "/.builds/",
    "/.ci/",
    "/ci/",
];

/// What build tools execute or obey by convention.
const BUILD: &[&str] = &[
    // make, cmake, autotools, meson, ninja, bazel, and task runners
    "Makefile",
    "GNUmakefile",
    "BSDmakefile",
    "Makefile.*",
    "*.mk",
    "CMakeLists.txt",
    "*.cmake",
    "CMakePresets.json",
    "configure",
    "configure.ac",
    "Makefile.am",
    "meson.build",
    "meson_options.txt",
    "build.ninja",
    "BUILD",
    "BUILD.bazel",
    "WORKSPACE",
    "WORKSPACE.bazel",
    "MODULE.bazel",
    "*.bzl",
    ".bazelrc",
    ".bazelversion",
    "justfile",
    ".justfile",
    "*.just",
    "Taskfile.yml",
    "Taskfile.yaml",
    "Taskfile.dist.yml",
    "Taskfile.dist.yaml",
    "magefile.go",
    "magefiles/",
    "SConstruct",
    "SConscript",
    "wscript",
    // JavaScript
    "package.json",
    ".npmrc",
    ".yarnrc",
    ".yarnrc.yml",
    "/.yarn/",
    ".pnpmfile.cjs",
    "pnpm-workspace.yaml",
    "**/node_modules/.bin/",
    "deno.json",
    "deno.jsonc",
    "bunfig.toml",
    ".eslintrc*",
    "eslint.config.*",
    ".prettierrc*",
    "prettier.config.*",
    ".stylelintrc*",
    "stylelint.config.*",
    "webpack*.config.*",
    "webpack.*.js",
    "rollup.config.*",
    "vite.config.*",
    "vitest.config.*",
    "jest.config.*",
    "babel.config.*",
    ".babelrc*",
    "gulpfile.*",
    "Gruntfile.*",
    "turbo.json",
    "nx.json",
    "lerna.json",
    // Rust, Go
    "Cargo.toml",
    "build.rs",
    ".cargo/",
    "rust-toolchain",
    "rust-toolchain.toml",
    ".golangci.*",
    ".goreleaser.*",
    "go.work",
    // Python
    "setup.py",
    "setup.cfg",
    "pyproject.toml",
    "conftest.py",
    "tox.ini",
    "noxfile.py",
    "pytest.ini",
    "requirements*.txt",
    "Pipfile",
    "sitecustomize.py",
    // Ruby, PHP, JVM, .NET, others
    "Gemfile",
    "Rakefile",
    "*.gemspec",
    ".rubocop.yml",
    "Dangerfile",
    "Fastfile",
    "composer.json",
    "phpstan.neon*",
    "pom.xml",
    ".mvn/",
    "mvnw",
    "mvnw.cmd",
    "build.gradle*",
    "settings.gradle*",
    "init.gradle*",
    "gradle.properties",
    "gradlew",
    "gradlew.bat",
    "gradle-wrapper.*",
    "build.xml",
    "build.sbt",
    "*.csproj",
    "*.targets",
    "*.props",
    "nuget.config",
    "mix.exs",
    "stack.yaml",
    "*.nix",
    // containers
    "Dockerfile",
    "Dockerfile.*",
    "*.Dockerfile",
    "Containerfile",
    "Containerfile.*",
    ".dockerignore",
    "docker-bake.hcl",
    "docker-bake.json",
    "/.devcontainer/",
    // checkers that run code, or that a change can silence
    ".pre-commit-config.yaml",
    ".pre-commit-hooks.yaml",
    "lefthook.yml",
    ".husky/",
    ".githooks/",
    ".mega-linter.yml",
    ".vale.ini",
    "sonar-project.properties",
    "trivy.yaml",
    ".trivyignore",
    ".checkov.*",
    "mkdocs.yml",
    ".tool-versions",
    "mise.toml",
    ".mise.toml",
    ".envrc",
    ".lfsconfig",
    "/.gemini/",
];

/// What is deployed rather than compiled.
const CONFIG: &[&str] = &[
    // Terraform, OpenTofu, Pulumi, Packer
    "*.tf",
    "*.tf.json",
    "*.tfvars",
    "*.tfvars.json",
    ".terraform.lock.hcl",
    "terragrunt.hcl",
    "Pulumi.yaml",
    "Pulumi.*.yaml",
    "*.pkr.hcl",
    // Kubernetes: Helm, Kustomize, Skaffold, Flux, Argo
    "Chart.yaml",
    "Chart.lock",
    "values.yaml",
    "values-*.yaml",
    "values.*.yaml",
    "helmfile.yaml",
    "kustomization.yaml",
    "kustomization.yml",
    "skaffold.yaml",
    // Ansible, Salt, Puppet, Nomad
    "ansible.cfg",
    "playbook*.yml",
    "playbook*.yaml",
    "*.nomad",
    "*.nomad.hcl",
    // Compose and platforms
    "compose.yml",
    "compose.yaml",
    "compose.*.yml",
    "compose.*.yaml",
    "docker-compose*.yml",
    "docker-compose*.yaml",
    "Procfile",
    "fly.toml",
    "app.yaml",
    "serverless.yml",
    "serverless.yaml",
    "vercel.json",
    "netlify.toml",
    "wrangler.toml",
    "render.yaml",
    // Units and servers
    "*.service",
    "*.timer",
    "*.socket",
    "nginx.conf",
];

/// Directories whose data is deployed. Only the data: a source file put there stays `code`, else
/// the name of a directory would take it out of the rules for code.
const CONFIG_DIRECTORIES: &[&str] = &[
    "charts",
    "helm",
    "helmfile.d",
    "kustomize",
    "k8s",
    "kubernetes",
    "manifests",
    "argocd",
    ".argocd",
    "clusters",
    "ansible",
];

/// What data is called.
const CONFIG_DATA: &[&str] = &["*.yaml", "*.yml", "*.json", "*.tpl", "*.j2"];

/// Returns the patterns for data below the directories.
fn config_directories() -> Vec<String> {
    let below = |data: &&str, directory: &str| format!("**/{directory}/**/{data}");
    CONFIG_DIRECTORIES
        .iter()
        .flat_map(|directory| CONFIG_DATA.iter().map(move |data| below(data, directory)))
        .collect()
}

/// The tables, parsed once.
static BUILT_IN: LazyLock<[(Class, Vec<Pattern>); 3]> = LazyLock::new(|| {
    let directories = config_directories();
    let directories: Vec<&str> = directories.iter().map(String::as_str).collect();
    let parse = |tables: &[&[&str]]| {
        let all = tables.iter().copied().flatten();
        all.filter_map(|text| Pattern::parse(text).ok()).collect()
    };
    [
        (Class::Policy, parse(&[POLICY])),
        (Class::Pipeline, parse(&[DEFINITIONS, BUILD])),
        (Class::Config, parse(&[CONFIG, &directories])),
    ]
});

/// What a policy adds to the tables, and the classes of paths that were asked about.
///
/// One judgement asks for the same paths again and again, and holds each against some hundred
/// patterns.
#[derive(Debug, Default)]
pub struct Classes {
    added: BTreeMap<Class, Vec<Pattern>>,
    known: Mutex<HashMap<RepoPath, Vec<Class>>>,
}

impl Classes {
    /// Adds patterns, which never take a class away but `code`.
    pub(super) fn new(added: BTreeMap<Class, Vec<Pattern>>) -> Self {
        Self {
            added,
            known: Mutex::default(),
        }
    }

    /// Returns the classes of a path, sorted, at least one.
    pub fn of(&self, path: &RepoPath) -> Vec<Class> {
        if path.as_bstr().len() > LONG {
            return self.ask(path);
        }
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(classes) = known().get(path) {
            return classes.clone();
        }
        let classes = self.ask(path);
        let mut known = known();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(path.clone(), classes.clone());
        classes
    }

    fn ask(&self, path: &RepoPath) -> Vec<Class> {
        let folded = folded(path);
        let names = Names::new(path.as_bstr(), &folded);
        let built_in = BUILT_IN.iter().map(|(class, patterns)| (class, patterns));
        let mut classes: Vec<Class> = built_in
            .chain(&self.added)
            .filter(|(_, patterns)| any_match(patterns, &names))
            .map(|(class, _)| *class)
            .collect();
        if classes.is_empty() {
            classes.push(Class::Code);
        }
        classes.sort();
        classes.dedup();
        classes
    }
}

/// A copy knows what was added, and nothing that was asked.
impl Clone for Classes {
    fn clone(&self) -> Self {
        Self::new(self.added.clone())
    }
}

/// Returns whether a CI system reads the path by itself, rather than a build tool it runs.
pub fn defines_pipeline(path: &RepoPath) -> bool {
    static PARSED: LazyLock<Vec<Pattern>> = LazyLock::new(|| {
        let patterns = DEFINITIONS.iter();
        patterns
            .filter_map(|text| Pattern::parse(text).ok())
            .collect()
    });
    let folded = folded(path);
    any_match(&PARSED, &Names::new(path.as_bstr(), &folded))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(path: &[u8]) -> Vec<Class> {
        Classes::default().of(&RepoPath::new(path.to_vec()))
    }

    /// Every built-in pattern is one of the dialect, and stands in its table once.
    #[test]
    fn tables_parse() {
        for table in [POLICY, DEFINITIONS, BUILD, CONFIG] {
            for text in table {
                assert_eq!(Pattern::parse(text).map(|_| ()), Ok(()), "{text}");
                assert_eq!(
                    table.iter().filter(|other| *other == text).count(),
                    1,
                    "{text}"
                );
            }
        }
        for text in config_directories() {
            assert_eq!(Pattern::parse(&text).map(|_| ()), Ok(()), "{text}");
        }
        for file in OWNERS_FILES {
            assert_eq!(classes(file.as_bytes()), [Class::Policy], "{file}");
        }
    }

    /// What each kind of path can do, by example.
    #[test]
    fn classes_by_path() {
        use Class::{Code, Config, Pipeline, Policy};
        for (path, expected) in [
            ("src/main.rs", &[Code][..]),
            ("README.md", &[Code]),
            ("docs/index.md", &[Code]),
            ("tests/test_main.py", &[Code]),
            (".countersign/policy.toml", &[Policy]),
            (".countersign/keys/a.asc", &[Policy]),
            (".countersign", &[Policy]),
            ("x/.countersign/policy.toml", &[Code]),
            ("src/CODEOWNERS", &[Code]),
            ("sub/.gitattributes", &[Policy]),
            (".gitlab/ci/.gitattributes", &[Pipeline, Policy]),
            (".github/workflows/ci.yml", &[Pipeline]),
            (".github", &[Pipeline]),
            (".github/ISSUE_TEMPLATE.md", &[Code]),
            (".gitea/workflows/run", &[Pipeline]),
            ("sub/action.yml", &[Pipeline]),
            (".ci/run", &[Pipeline]),
            ("src/ci/mod.rs", &[Code]),
            ("sub/Makefile", &[Pipeline]),
            ("package.json", &[Pipeline]),
            ("main.tf", &[Config]),
            ("charts/x/templates/a.yaml", &[Config]),
            ("x/helm/Dockerfile.yaml", &[Config, Pipeline]),
            ("src/charts/pie.js", &[Code]),
            ("k8s/evil.go", &[Code]),
        ] {
            assert_eq!(classes(path.as_bytes()), expected, "{path}");
        }
    }

    /// Another spelling that some checkout takes for the same file has the same classes.
    #[test]
    fn classes_of_twins() {
        assert_eq!(classes(b".GITHUB/Workflows/ci.yml"), [Class::Pipeline]);
        assert_eq!(classes(b"codeowners"), [Class::Policy]);
        assert_eq!(classes(b".github /workflows./ci.yml"), [Class::Pipeline]);
        assert_eq!(classes(".gitmodul\u{200d}es".as_bytes()), [Class::Policy]);
        assert_eq!(classes("\u{212a}8s/a.yaml".as_bytes()), [Class::Config]);
        assert_eq!(classes(b".github/workflows/\xff"), [Class::Pipeline]);
    }

    /// `[classes]` adds, and takes away nothing but `code`, which it can give too.
    #[test]
    fn adds_classes() {
        let one = |class, text| BTreeMap::from([(class, vec![Pattern::parse(text).unwrap()])]);
        let of = |path: &str, added| Classes::new(added).of(&RepoPath::from(path));
        assert_eq!(
            of("x/deploy/a", one(Class::Config, "deploy/")),
            [Class::Config]
        );
        let added = one(Class::Code, "Makefile");
        assert_eq!(of("Makefile", added), [Class::Code, Class::Pipeline]);
        let added = one(Class::Code, "**");
        assert_eq!(of(".gitmodules", added), [Class::Code, Class::Policy]);
    }

    /// What is asked again is answered the same, long paths and many of them included.
    #[test]
    fn asked_again() {
        let classes = Classes::default();
        let long = format!("{}/Makefile", "x".repeat(LONG));
        let many = (0..=MOST).map(|n| format!("{n}.tf"));
        for path in many.chain([long, "0.tf".to_owned()]) {
            let path = RepoPath::from(path.as_str());
            for _ in 0..2 {
                assert_eq!(classes.of(&path), classes.ask(&path), "{path}");
            }
        }
        assert!(classes.known.lock().unwrap().len() <= MOST);
    }
}
