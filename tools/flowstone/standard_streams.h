// The tool's own ends: standard input, output and error, the terminal, and Ctrl-C. No other file of the tool calls the
// operating system.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "tools/flowstone/command_line.h"
#include <flowstone/result.h>

namespace flowstone::tool {

// Call first in main: a closed standard output becomes an error of write, not the end of the process.
void prepare_process();

// From then on Ctrl-C (SIGINT) and SIGTERM set interrupted() instead of ending the process; a second one ends it.
void catch_interrupts();
bool interrupted();

// One line on standard error: "flowstone: TEXT". Returns what the process should end with.
Exit complain(std::string_view text, Exit exit = Exit::failed);
// A wrong argument is wrong usage; everything else could not be done.
Exit complain(const Error& error);
// A line on standard error that is no complaint.
void note(std::string_view text);

// Where bytes come from. A file descriptor in the tool, a string in tests.
class ByteSource {
public:
    virtual ~ByteSource() = default;
    // Waits for at least one byte. 0 at the end.
    virtual Result<size_t> read(std::span<char> into) = 0;
};

// Standard input, as it comes: a line typed or piped is seen at once.
class StandardInput : public ByteSource {
public:
    // Called before read() has to wait because nothing has arrived yet.
    std::function<Result<void>()> before_wait;
    // Ends early, as if at the end, when interrupted.
    Result<size_t> read(std::span<char> into) override;
    // Bytes in all, when it is a file.
    static std::optional<uint64_t> size();
};

// Standard output with a buffer. A reader that went away (`| head`) is no error: closed() tells.
class StandardOutput {
public:
    StandardOutput() = default;
    StandardOutput(const StandardOutput&) = delete;
    StandardOutput& operator=(const StandardOutput&) = delete;
    ~StandardOutput();  // flushes

    // To be written to; call wrote() after adding to it.
    std::string& buffer() { return buffer_; }
    // Writes the buffer out when it has grown. Errors: io, no_space.
    Result<void> wrote();
    Result<void> flush();
    bool closed() const { return closed_; }

private:
    std::string buffer_;
    bool closed_ = false;
};

// Prints `text` and flushes it.
Exit print(std::string_view text);

bool output_is_terminal();
bool error_is_terminal();                 // progress is shown
uint32_t error_columns();                 // width of the terminal, 80 if unknown
void write_error(std::string_view text);  // as it is, at once
void sleep_ns(int64_t ns);                // ends early when interrupted

}  // namespace flowstone::tool
