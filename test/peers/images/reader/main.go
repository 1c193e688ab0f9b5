// Reads what images are built and run from, as the programs that build and run them do, and prints it as JSON:
//
//	reader dockerfile FILE   the stages, by BuildKit's own parser
//	reader context FOLDER    the files that a build of the folder may copy, by Docker's own reading of .dockerignore
//	reader compose FILE      the project, by Docker Compose's own loader, which holds it to the schema
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

type command struct {
	Name  string `json:"name"`
	Value any    `json:"value"`
}

type stage struct {
	Name     string    `json:"name"`
	Base     string    `json:"base"`
	Commands []command `json:"commands"`
}

func main() {
	if len(os.Args) != 3 {
		fail(fmt.Errorf("want: reader dockerfile|context|compose PATH"))
	}
	read, known := map[string]func(string) (any, error){
		"dockerfile": readDockerfile, "context": readContext, "compose": readCompose,
	}[os.Args[1]]
	if !known {
		fail(fmt.Errorf("%s is none of dockerfile, context and compose", os.Args[1]))
	}
	found, err := read(os.Args[2])
	if err != nil {
		fail(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func readDockerfile(path string) (any, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	parsed, err := parser.Parse(file)
	if err != nil {
		return nil, err
	}
	parsedStages, _, err := instructions.Parse(parsed.AST, linter.New(&linter.Config{}))
	if err != nil {
		return nil, err
	}
	stages := []stage{}
	for _, each := range parsedStages {
		commands := []command{}
		for _, one := range each.Commands {
			commands = append(commands, command{one.Name(), one})
		}
		stages = append(stages, stage{each.Name, each.BaseName, commands})
	}
	return stages, nil
}

func readContext(folder string) (any, error) {
	file, err := os.Open(filepath.Join(folder, ".dockerignore"))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	patterns, err := ignorefile.ReadAll(file)
	if err != nil {
		return nil, err
	}
	ignored, err := patternmatcher.New(patterns)
	if err != nil {
		return nil, err
	}
	files := []string{}
	err = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		// What no pattern takes back in: thousands of files that need not be looked at.
		if entry.IsDir() && (entry.Name() == "node_modules" || entry.Name() == ".git") {
			return filepath.SkipDir
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		relative, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		skip, err := ignored.MatchesOrParentMatches(relative)
		if err == nil && !skip {
			files = append(files, relative)
		}
		return err
	})
	return files, err
}

func readCompose(path string) (any, error) {
	options, err := cli.NewProjectOptions([]string{path}, cli.WithOsEnv, cli.WithProfiles([]string{"*"}))
	if err != nil {
		return nil, err
	}
	return options.LoadProject(context.Background())
}
