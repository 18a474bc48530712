// Sockets by their path, through the door to the network.
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "net/transport/network.h"
#include "tests/storage/value_of.h"

namespace flowstone {
namespace {

class UnixSocketTest : public testing::Test {
protected:
    UnixSocketTest() : network_(value_of(open_epoll_network())) {
        std::string name = std::filesystem::temp_directory_path() / "flowstone-socket-XXXXXX";
        EXPECT_NE(mkdtemp(name.data()), nullptr);
        path_ = name;
    }
    ~UnixSocketTest() override { std::filesystem::remove_all(path_); }
    HostPort at(const std::string& name) const { return {path_ + "/" + name, 0}; }

    // Waits until the connection is readable, and reads what there is.
    std::string read(ConnectionId connection) {
        std::vector<std::byte> into(1 << 16);
        for (;;) {
            const ReadBytes got = value_of(network_->read(connection, into));
            if (got.bytes > 0) { return {reinterpret_cast<const char*>(into.data()), got.bytes}; }
            if (got.end) { return "(end)"; }
            std::vector<NetworkEvent> events;
            EXPECT_TRUE(network_->wait(10'000'000'000, events));
            if (events.empty()) { return "(nothing)"; }
        }
    }
    void write(ConnectionId connection, const std::string& text) {
        const Bytes piece(reinterpret_cast<const std::byte*>(text.data()), text.size());
        EXPECT_EQ(value_of(network_->write(connection, {&piece, 1})), text.size());
    }

    std::unique_ptr<Network> network_;
    std::string path_;
};

TEST_F(UnixSocketTest, ConnectsWhoListensAndWhoKnowsThePath) {
    const auto listener = value_of(network_->listen(at("socket")));
    EXPECT_EQ(listener.address, at("socket"));
    const ConnectionId ours = value_of(network_->connect(at("socket"), 0));
    const auto accepted = value_of(network_->accept(listener.id));
    ASSERT_TRUE(accepted);
    EXPECT_EQ(accepted->local, at("socket"));
    EXPECT_EQ(accepted->peer, at("socket"));
    write(ours, "there");
    EXPECT_EQ(read(accepted->id), "there");
    write(accepted->id, "and back");
    EXPECT_EQ(read(ours), "and back");
    network_->close(ours);
    EXPECT_EQ(read(accepted->id), "(end)");
    EXPECT_FALSE(value_of(network_->accept(listener.id)));
}

TEST_F(UnixSocketTest, GoesWithItsListener) {
    const auto listener = value_of(network_->listen(at("closed")));
    value_of(network_->listen(at("left")));
    network_->close(listener.id);
    EXPECT_FALSE(std::filesystem::exists(at("closed").host));
    EXPECT_EQ(network_->connect(at("closed"), 0).error().code, Code::not_found);
    network_.reset();
    EXPECT_FALSE(std::filesystem::exists(at("left").host));
}

TEST_F(UnixSocketTest, IsNotTakenFromWhoListens) {
    const auto listener = value_of(network_->listen(at("socket")));
    const auto second = value_of(open_epoll_network());
    EXPECT_EQ(second->listen(at("socket")).error().code, Code::io);
    const ConnectionId ours = value_of(second->connect(at("socket"), 0));
    EXPECT_TRUE(value_of(network_->accept(listener.id)));
    second->close(ours);
}

TEST_F(UnixSocketTest, NeedsItsDirectoryAndNoOtherFileInItsPlace) {
    EXPECT_EQ(network_->listen(at("no/socket")).error().code, Code::not_found);
    EXPECT_EQ(network_->connect(at("no/socket"), 0).error().code, Code::not_found);
    EXPECT_EQ(network_->connect(at("socket"), 0).error().code, Code::not_found);
    std::ofstream(at("file").host) << "precious";
    EXPECT_FALSE(network_->listen(at("file")));
    EXPECT_EQ(std::filesystem::file_size(at("file").host), 8u);
    EXPECT_FALSE(network_->listen(at(std::string(200, 'n'))));  // no name of a socket is so long
    EXPECT_FALSE(network_->connect(at(std::string(200, 'n')), 0));
}

TEST_F(UnixSocketTest, IsNamedByTheWholePathOfItsDirectory) {
    EXPECT_EQ(value_of(socket_in(path_)), at("flowstone.sock"));
    EXPECT_EQ(value_of(socket_in(path_ + "/../" + path_.substr(path_.rfind('/') + 1) + "/")), at("flowstone.sock"));
    EXPECT_EQ(value_of(socket_in("/")).host, "/flowstone.sock");
    EXPECT_EQ(socket_in(path_ + "/no").error().code, Code::not_found);
}

}  // namespace
}  // namespace flowstone
